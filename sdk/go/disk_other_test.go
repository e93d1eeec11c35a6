//go:build !linux

package belfry_test

func fillDisk() {}
