package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a process of the demo: the program itself with the command of a part (`belfry demo-part serve`). When it
// ends unexpectedly, it is started again, because the demo asks the user to kill it.
//
// A child also ends when its parent is killed: it reads its standard input, which the parent keeps open.
type child struct {
	part  string   // serve, shop
	env   []string // in addition to the parent's
	ready string   // prefix of the line that it prints when it serves
	log   io.Writer
	told  func(died) // called after an unexpected end and the restart; may be nil

	mu  sync.Mutex // guards the fields below
	pid int        // 0 = none
}

// died describes a child process that ended by itself.
type died struct {
	Part string
	How  string // "signal: killed"
	Pid  int    // of its successor
	Back time.Duration
}

// Limits of a child process.
const (
	startTime = 60 * time.Second // until it is ready
	stopTime  = 20 * time.Second // after it was asked to end
	tooSoon   = 3 * time.Second  // an end after less is a failed start
	maxFaults = 3                // in a row
)

// Pid returns the ID of the running process; 0 = none.
func (c *child) Pid() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pid
}

// Run restarts the child until ctx ends. It calls started once, when the child is ready for the first time.
func (c *child) Run(ctx context.Context, started func()) error {
	faults := 0
	how, since := "", time.Time{}
	for ctx.Err() == nil {
		began := time.Now()
		err := c.once(ctx, func() {
			if started != nil {
				started()
				started = nil
			}
			if how != "" && c.told != nil {
				c.told(died{c.part, how, c.Pid(), time.Since(since)})
			}
		})
		if ctx.Err() != nil {
			return nil
		}
		if faults++; time.Since(began) > tooSoon {
			faults = 0
		}
		if faults == maxFaults {
			return fmt.Errorf("%s does not stay alive: %w", c.part, err)
		}
		how, since = "it ended", time.Now()
		if err != nil {
			how = err.Error()
		}
	}
	return nil
}

// once runs one process until it ends.
func (c *child) once(ctx context.Context, ready func()) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "demo-part", c.part)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "BELFRY_") }),
		c.env...)
	cmd.Stderr = c.log
	// An own process group: Ctrl-C is sent to the parent only, which stops its children in their order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer lifeline.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	c.mu.Lock()
	c.pid = cmd.Process.Pid
	c.mu.Unlock()
	late := time.AfterFunc(startTime, func() { _ = cmd.Process.Kill() }) // its end says the rest
	up := false
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if !up && strings.HasPrefix(lines.Text(), c.ready) {
			up = true
			late.Stop()
			ready()
		}
	}
	late.Stop()
	err = cmd.Wait()
	c.mu.Lock()
	c.pid = 0
	c.mu.Unlock()
	if err == nil && !up {
		return errors.New("it ended before it was ready")
	}
	return err
}
