// Command processes trains models of all kinds with several processes under mpirun, on several threads each, and shows
// the digest of each checkpoint: they must be the same for a model, and the same as without mpirun.
//
//	cd bench && go run ./processes ../demo/rnn ../demo/gan …
//
// It takes the programs of generated packages, and makes data for each. Needs Open MPI.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

var (
	counts  = flag.String("np", "1,2,4", "`NUMBERS` of processes; 1 is without mpirun")
	threads = flag.String("threads", "1,2", "`NUMBERS` of threads of each process")
	shards  = flag.Int("accumulate", 4, "shards of a batch")
	steps   = flag.Int("steps", 24, "training steps of a model")
)

// kinds of data, by the name of a model.
var kinds = map[string][]string{
	"transformer": {"--source", "sentences", "--target", "answers", "--window", "24"},
	"textvae":     {"--data", "sentences", "--window", "24"},
	"gan":         {"--data", "vectors.csv"},
	"seqgan":      {"--data", "lines"},
	"seqbrief":    {"--data", "lines"},
	"gptnano":     {"--data", "prose", "--window", "32"},
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("processes: ")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("name the programs of models")
	}
	dir, err := os.MkdirTemp("", "processes-")
	if err != nil {
		log.Fatal(err)
	}
	err = compare(dir, flag.Args())
	os.RemoveAll(dir)
	if err != nil {
		log.Fatal(err)
	}
}

// compare trains with each number of processes and threads, and prints a table.
func compare(dir string, programs []string) error {
	if err := write(dir); err != nil {
		return err
	}
	fmt.Println("| model | processes | threads of each | digest of the checkpoint | seconds |")
	fmt.Println("|---|---|---|---|---|")
	var differ []string
	for _, path := range programs {
		program, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(program), ".exe")
		first := ""
		for _, n := range strings.Split(*counts, ",") {
			for _, t := range strings.Split(*threads, ",") {
				begin := time.Now()
				digest, err := train(dir, program, name, n, t)
				if err != nil {
					return fmt.Errorf("%s, %s processes of %s threads: %w", name, n, t, err)
				}
				fmt.Printf("| %s | %s | %s | `%.16s` | %.1f |\n", name, n, t, digest, time.Since(begin).Seconds())
				if first == "" {
					first = digest
				}
				if digest != first {
					differ = append(differ, fmt.Sprintf("%s with %s processes of %s threads", name, n, t))
				}
			}
		}
	}
	if differ != nil {
		return fmt.Errorf("other bits: %s", strings.Join(differ, "; "))
	}
	fmt.Printf("\nThe digests of each of %d models are the same.\n", len(programs))
	return nil
}

// train trains a model, and gives the SHA-256 of its checkpoint.
func train(dir, program, name, processes, threads string) (digest string, err error) {
	data := kinds[name]
	if data == nil {
		data = []string{"--data", "prose", "--window", "32"}
	}
	args := append([]string{program, "train", "--batch", strconv.Itoa(2 * *shards), "--accumulate",
		strconv.Itoa(*shards), "--steps", strconv.Itoa(*steps), "--eval-every", strconv.Itoa(max(1, *steps/2)),
		"--threads", threads, "--out", "out.safetensors", "--overwrite"}, data...)
	if processes != "1" {
		args = append([]string{"mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np",
			processes}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v: %w\n%s", cmd.Args, err, out)
	}
	checkpoint, err := os.ReadFile(filepath.Join(dir, "out.safetensors"))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sha256.Sum256(checkpoint)), nil
}

// write writes data of each kind: prose and sentences of a few words, their answers, numbers.
func write(dir string) error {
	draw := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("a man woman dog boy girl in on with two young black white blue red shirt street water field " +
		"sitting standing running playing holding looking")
	var prose, sentences, answers, lines, vectors strings.Builder
	for range 1200 {
		n := 4 + draw.IntN(8)
		var s, r []string
		for range n {
			w := words[draw.IntN(len(words))]
			s, r = append(s, w), append([]string{w}, r...)
		}
		fmt.Fprintf(&prose, "%s.\n", strings.Join(s, " "))
		fmt.Fprintf(&sentences, "%s .\n", strings.Join(s, " "))
		fmt.Fprintf(&answers, "%s .\n", strings.Join(r, " "))
		for i := range 20 {
			if i > 0 {
				lines.WriteByte(' ')
			}
			fmt.Fprint(&lines, draw.IntN(5000))
		}
		lines.WriteByte('\n')
	}
	for range 300 {
		for i := range 784 {
			if i > 0 {
				vectors.WriteByte(',')
			}
			fmt.Fprintf(&vectors, "%.2f", 2*draw.Float64()-1)
		}
		vectors.WriteByte('\n')
	}
	for name, s := range map[string]*strings.Builder{"prose": &prose, "sentences": &sentences, "answers": &answers,
		"lines": &lines, "vectors.csv": &vectors} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(s.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
