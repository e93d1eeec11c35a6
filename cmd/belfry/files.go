package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// openInput opens a file that a command reads, - for standard input. What is
// compressed with gzip is recognised by its first bytes, whatever it is called;
// a byte order mark in front of a text is skipped.
func openInput(name string) (io.ReadCloser, error) {
	file := io.ReadCloser(os.Stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		file = f
	}
	text := bufio.NewReaderSize(file, 1<<16)
	if head, _ := text.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) { // an error shows when the text is read
		z, err := gzip.NewReader(text)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", name, err), file.Close())
		}
		text = bufio.NewReaderSize(z, 1<<16)
	}
	if head, _ := text.Peek(3); bytes.Equal(head, []byte("\ufeff")) {
		_, _ = text.Discard(3) // it was peeked at
	}
	return input{text, file}, nil
}

// input reads a text and closes the file below it.
type input struct {
	io.Reader
	io.Closer
}

// readInput reads a whole small file.
func readInput(name string) ([]byte, error) {
	in, err := openInput(name)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(data) > maxInput {
		err = fmt.Errorf("%s has more than %d MB", name, maxInput>>20)
	}
	return data, err
}

// maxInput bounds what is read into memory: a bundle is the largest, an event
// of 64 KiB several times in base64.
const maxInput = 16 << 20

// fileOutput is a file that is written beside the one of its name and takes its
// place when it is whole: a failure leaves what was there untouched.
type fileOutput struct {
	file *os.File
	name string // of the place; empty when the file is written in place
}

// createOutput begins a file. What is there and is no regular file (a pipe, a
// terminal) is written directly.
func createOutput(name string, mode fs.FileMode) (*fileOutput, error) {
	if full, err := filepath.EvalSymlinks(name); err == nil {
		name = full // the link stays
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		file, err := os.OpenFile(name, os.O_WRONLY, 0)
		return &fileOutput{file: file}, err
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	beside := filepath.Join(filepath.Dir(name), fmt.Sprintf(".%s.%s", filepath.Base(name), rand.Text()))
	file, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	return &fileOutput{file, name}, err
}

// commit makes the file whole and puts it into its place.
func (o *fileOutput) commit() error {
	if o.name == "" {
		return o.file.Close()
	}
	err := errors.Join(o.file.Sync(), o.file.Close())
	if err == nil {
		err = os.Rename(o.file.Name(), o.name)
	}
	if err != nil {
		os.Remove(o.file.Name()) // the fault that matters is err
	}
	return err
}

// drop removes a file that did not become whole.
func (o *fileOutput) drop() {
	o.file.Close()
	if o.name != "" {
		os.Remove(o.file.Name())
	}
}

// writeOutputs writes several files, of which all come to their places or none.
func writeOutputs(files ...outputFile) error {
	var made []*fileOutput
	drop := func() {
		for _, o := range made {
			o.drop()
		}
	}
	for _, f := range files {
		o, err := createOutput(f.name, f.mode)
		if err != nil {
			drop()
			return err
		}
		made = append(made, o)
		if err := f.write(o.file); err != nil {
			drop()
			return err
		}
	}
	for i, o := range made {
		if err := o.commit(); err != nil {
			for _, rest := range made[i+1:] {
				rest.drop()
			}
			return err
		}
	}
	return nil
}

// outputFile is one file to write.
type outputFile struct {
	name  string
	mode  fs.FileMode
	write func(io.Writer) error
}

func literal(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}
