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

// openInput opens a file that a command reads, - for standard input. Compression with
// gzip is recognised by the first bytes; a byte order mark before a text is skipped.
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

// maxInput is the largest file that is read into memory: a bundle has an event of 64
// KiB several times in base64.
const maxInput = 16 << 20

// fileOutput is a new version of a file. It replaces the old one when it is whole: a
// failure leaves the old one untouched.
type fileOutput struct {
	file *os.File
	name string // of the file to replace; empty when it is written directly
}

// createOutput begins a file. A pipe or a terminal is written directly.
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
	temporary := filepath.Join(filepath.Dir(name), fmt.Sprintf(".%s.%s", filepath.Base(name), rand.Text()))
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	return &fileOutput{file, name}, err
}

// commit closes the file and replaces the old version.
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

// drop removes an incomplete file.
func (o *fileOutput) drop() {
	o.file.Close()
	if o.name != "" {
		os.Remove(o.file.Name())
	}
}

// writeOutputs writes several files: all of them, or none.
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
