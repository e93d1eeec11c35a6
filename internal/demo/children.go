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

// child is one of the demo's own processes: the program itself, playing a part
// (`belfry demo-part serve`). When it ends without being asked, it is started
// again: killing it is part of the demo.
//
// A child ends with its parent, however that dies: it watches its standard
// input, which the parent holds open.
type child struct {
	part  string   // serve, shop
	env   []string // besides the parent's
	ready string   // how the line begins by which it says that it serves
	log   io.Writer
	told  func(died) // after a death and the restart that followed; may be nil

	mu  sync.Mutex // guards what follows
	pid int        // 0 = none
}

// died is what became of a child that ended by itself.
type died struct {
	Part string
	How  string // "signal: killed"
	Pid  int    // of its successor
	Back time.Duration
}

// Limits of a child's life.
const (
	startTime = 60 * time.Second // until it is ready
	stopTime  = 20 * time.Second // after it was asked to end
	tooSoon   = 3 * time.Second  // a death after less is a fault of the start
	maxFaults = 3                // in a row
)

// Pid is the present process; 0 while there is none.
func (c *child) Pid() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pid
}

// Run keeps the child alive until ctx ends. started is told once, when it is
// ready for the first time.
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

// once runs one process to its end.
func (c *child) once(ctx context.Context, ready func()) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "demo-part", c.part)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "BELFRY_") }), c.env...)
	cmd.Stderr = c.log
	// A group of its own: Ctrl-C reaches the parent alone, which stops its children
	// in their order.
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
