package main

import ("context"; "io")

func catalogCommand(_ context.Context, args []string, stdout, stderr io.Writer) int { return 2 }
