package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed statements.yaml
var autoencoder []byte

// mover writes statements again from latent vectors that are moved along the way from other statements to assignments,
// with an autoencoder of statements that is generated, built and trained in the folder of checkpoints. What it is given
// are statements that are no assignments, of the last tenth, which training keeps apart.
type mover struct{ program, toward, from, in string }

func newMover(lines []line) *mover {
	root, err := filepath.Abs("..")
	check(err)
	at, err := filepath.Abs(*dir)
	check(err)
	file := func(name string) string { return filepath.Join(at, name) }
	m := &mover{file("statements.exe"), file("assignments.txt"), file("others.txt"), file("in.txt")}
	write := func(path string, most int, of func(l line) bool, lines []line) {
		var b strings.Builder
		n := 0
		for _, l := range lines {
			if n < most && of(l) {
				n++
				b.WriteString(l.text + "\n")
			}
		}
		check(os.WriteFile(path, []byte(b.String()), 0o666))
	}
	learnt := lines[:len(lines)*9/10]
	write(file("statements.txt"), len(lines), func(line) bool { return true }, lines)
	write(m.toward, 2000, func(l line) bool { return l.assigns }, learnt)
	write(m.from, 2000, func(l line) bool { return !l.assigns }, learnt)
	write(m.in, *number, func(l line) bool { return !l.assigns }, lines[len(learnt):])

	run := func(name string, args ...string) {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Stderr = root, os.Stderr
		check(cmd.Run())
	}
	gradsmith := func(args ...string) { run("go", append([]string{"run", "./cmd/gradsmith"}, args...)...) }
	if _, err := os.Stat(file("statements")); errors.Is(err, fs.ErrNotExist) {
		gradsmith("init", "vae", file("statements"), "--as", "sentences", "--name", "statements")
		gradsmith("vocab", file("statements.txt"), "--bpe", "512", "-o", file("statements/statements.bpe"))
	}
	check(os.WriteFile(file("statements/statements.yaml"), autoencoder, 0o666))
	gradsmith("generate", file("statements/statements.yaml"))
	run("go", "build", "-o", m.program, file("statements/cmd/statements"))
	if _, err := os.Stat(file("statements.safetensors")); errors.Is(err, fs.ErrNotExist) {
		run(m.program, "train", "--data", file("statements.txt"), "--out", file("statements.safetensors"))
	}
	return m
}

// move gives the statements, by so much of the way.
func (m *mover) move(by float64) []string {
	in, err := os.Open(m.in)
	check(err)
	defer in.Close()
	cmd := exec.Command(m.program, "move", "--toward", m.toward, "--from", m.from, "--by", fmt.Sprint(by), "--model",
		filepath.Join(filepath.Dir(m.program), "statements.safetensors"))
	cmd.Stdin, cmd.Stderr = in, os.Stderr
	out, err := cmd.Output()
	check(err)
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}
