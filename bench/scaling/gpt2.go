//go:build gpt2

package main

import "github.com/gradsmith/gradsmith/demo/gpt2small"

// GPT-2 small is made by make gpt2.
func init() { programs["gpt2small"] = gpt2small.Program() }
