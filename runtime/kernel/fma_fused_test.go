//go:build !js && !wasip1

package kernel

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFused looks into what the compiler makes of the inner loop on architectures that fuse: multiply-adds on
// registers, nothing else in float32, and nothing that goes to memory but the loads of a and b.
func TestFused(t *testing.T) {
	source, err := os.ReadFile("fma_fused.go")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "fused.go")
	// The file compiles by itself, with the one constant that it takes from others.
	source = append(source, "\nconst tileRows = 4\n"...)
	if err := os.WriteFile(file, source, 0o600); err != nil {
		t.Fatal(err)
	}
	for arch, op := range map[string]string{"arm64": "FMADDS", "loong64": "FMADDF", "ppc64le": "FMADDS",
		"ppc64":   "FMADDS",
		"riscv64": "FMADDS", "s390x": "FMADDS"} {
		c := exec.Command("go", "tool", "compile", "-p", "kernel", "-S", "-o", os.DevNull, file)
		c.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "GOFLAGS=")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", arch, err, out)
		}
		code := functions(string(out))
		count := func(name, op string) int {
			return len(regexp.MustCompile(`(?m)\t`+op+`\t`).FindAllString(code[name], -1))
		}
		if n := count("mulTile", op); n != 16 {
			t.Errorf("%s: mulTile has %d %s, want 16\n%s", arch, n, op, code["mulTile"])
		}
		if n := count("fma", op); n != 1 {
			t.Errorf("%s: fma has %d %s, want 1\n%s", arch, n, op, code["fma"])
		}
		for _, other := range []string{`FMULS?F?`, `FADDS?F?`, `FMULD`, `FADDD`} {
			if n := count("mulTile", other) + count("fma", other); n > 0 {
				t.Errorf("%s: %d of %s, want none", arch, n, other)
			}
		}
		if arch != "arm64" {
			continue
		}
		// Between the first and the last multiply-add, and so in the loop: loads of pairs before, nothing after.
		lines := strings.Split(code["mulTile"], "\n")
		first, last := -1, -1
		for i, l := range lines {
			if strings.Contains(l, "\t"+op+"\t") {
				if first < 0 {
					first = i
				}
				last = i
			}
		}
		for _, l := range lines[first : last+1] {
			if !strings.Contains(l, "\t"+op+"\tF") || strings.ContainsAny(l[strings.Index(l, op):], "()") {
				t.Errorf("arm64: among the multiply-adds of the loop: %s", l)
			}
		}
	}
}

// functions are the instructions of each function in a listing of the compiler, a line each.
func functions(listing string) map[string]string {
	code := map[string]string{}
	name := ""
	for l := range strings.SplitSeq(listing, "\n") {
		if !strings.HasPrefix(l, "\t") {
			name, _, _ = strings.Cut(strings.TrimPrefix(l, "kernel."), " ")
			continue
		}
		if fields := strings.SplitN(l, "\t", 3); len(fields) == 3 && !strings.Contains(l, "PCDATA") {
			code[name] += "\t" + fields[2] + "\n"
		}
	}
	return code
}
