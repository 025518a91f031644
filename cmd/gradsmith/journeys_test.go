package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

var allJourneys = flag.Bool("journeys", false, "TestJourneys takes all journeys, not the shortest alone")

// journey is what a new user does with one kind of data: from an empty module to a program with a trained model inside.
type journey struct {
	name    string
	short   bool // it is one of those that are always taken
	start   string
	prepare func(u *user) // lays out the data, and what the spec names
	edit    []string      // of the spec, old and new in turn
	data    string        // the flags that name the data
	best    bool          // the model has a best checkpoint
	use     func(u *user)
	program string // the body of a function of (m *NAME.Model) error, in a program that embeds the parameters
	prints  string // what the program prints
}

// TestJourneys goes from data as people have it to a program that embeds a model: init, an edited spec, generate,
// train, resume, the commands that the model is for, export, the package's own tests, the plain call in Go. Models are
// tiny and hardly trained: what is looked at is the form of what they write.
func TestJourneys(t *testing.T) {
	for _, j := range []journey{verses(), code(), dates(), digits(), drawings(), cities(), towns()} {
		t.Run(j.name, func(t *testing.T) {
			if !j.short && !*allJourneys {
				t.Skip("make journeys takes it")
			}
			j.walk(t)
		})
	}
}

func (j *journey) walk(t *testing.T) {
	u := newUser(t)
	u.run("go get -tool " + self + "/cmd/gradsmith@latest")
	u.run("go tool gradsmith init " + j.start)
	j.prepare(u)
	u.smaller(fmt.Sprintf("%[1]s/%[1]s.yaml", j.name), j.edit...)
	u.run("go generate ./" + j.name)
	u.run(fmt.Sprintf("go build -o bin/ ./%[1]s/cmd/%[1]s", j.name))
	u.program = "bin/" + j.name

	files := " --log log.jsonl --plot loss.svg"
	if j.best {
		files += " --best best.safetensors"
	}
	u.run(u.program + " train " + j.data + files + " --steps 12 --eval-every 5")
	u.run(u.program + " train --resume --steps 20")
	u.steps("log.jsonl", 20)
	if svg := u.read("loss.svg"); !strings.HasPrefix(svg, "<svg") {
		t.Errorf("the picture of the losses is %.40q", svg)
	}
	if out := u.run(u.program + " info " + j.name + ".safetensors"); !strings.Contains(out, "step 20") {
		t.Errorf("info says\n%s", out)
	}
	j.use(u)

	if err := os.Mkdir(filepath.Join(u.dir, "own"), 0o777); err != nil {
		t.Fatal(err)
	}
	u.run(u.program + " export --type bf16 -o own/model.safetensors")
	small, whole := len(u.read("own/model.safetensors")), len(u.read(j.name+".safetensors"))
	if small > whole/2 {
		t.Errorf("the export has %d bytes, the checkpoint %d", small, whole)
	}
	u.run("go test ./" + j.name + "/...")
	u.file("own/main.go", fmt.Sprintf(ownProgram, j.name, j.program))
	u.run("go vet ./own")
	u.run("go build -o bin/ ./own")
	out := u.run("cd / && " + filepath.Join(u.dir, "bin/own")) // with nothing beside it
	if !regexp.MustCompile(j.prints).MatchString(out) {
		t.Errorf("the program prints %q, want %s", out, j.prints)
	}
}

// ownProgram is a program of a user's own, with a model inside.
const ownProgram = `package main

import (
	"context"
	_ "embed"
	"fmt"
	"log"

	"example.com/mine/%[1]s"
)

//go:embed model.safetensors
var parameters []byte

func main() {
	m, err := %[1]s.Parse(parameters)
	if err != nil {
		log.Fatal(err)
	}
	if err := use(context.Background(), m); err != nil {
		log.Fatal(err)
	}
}

func use(ctx context.Context, m *%[1]s.Model) error {
%[2]s
	return nil
}
`

func (u *user) read(name string) string {
	u.t.Helper()
	data, err := os.ReadFile(filepath.Join(u.dir, name))
	if err != nil {
		u.t.Fatal(err)
	}
	return string(data)
}

// steps checks that a log has each step once, from the first to the last.
func (u *user) steps(name string, last int) {
	u.t.Helper()
	var got []int
	for line := range strings.Lines(u.read(name)) {
		var x struct {
			Step *int
			Loss *float64
		}
		if err := json.Unmarshal([]byte(line), &x); err != nil || x.Step == nil {
			u.t.Fatalf("the log has the line %s", line)
		}
		if x.Loss != nil {
			got = append(got, *x.Step)
		}
	}
	for i := range last {
		if i >= len(got) || got[i] != i+1 {
			u.t.Fatalf("the log has steps %d", got)
		}
	}
}

// image checks that a file is a picture of the given size.
func (u *user) image(name string, width, height int) {
	u.t.Helper()
	c, err := png.DecodeConfig(strings.NewReader(u.read(name)))
	if err != nil || c.Width != width || c.Height != height {
		u.t.Errorf("%s is a picture of %d × %d, %v; want %d × %d", name, c.Width, c.Height, err, width, height)
	}
}

// lines runs a command and wants so many lines of its output.
func (u *user) lines(n int, line string) []string {
	u.t.Helper()
	all := strings.Split(strings.TrimSuffix(u.run(line), "\n"), "\n")
	if len(all) != n {
		u.t.Errorf("%s prints %q, want %d lines", line, all, n)
	}
	return all
}

// poems are by Li Bai, Meng Haoran, Wang Zhihuan, Wang Wei and Liu Zongyuan.
var poems = []string{
	"静夜思\n床前明月光，疑是地上霜。\n举头望明月，低头思故乡。\n",
	"春晓\n春眠不觉晓，处处闻啼鸟。\n夜来风雨声，花落知多少。\n",
	"登鹳雀楼\n白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。\n",
	"相思\n红豆生南国，春来发几枝。\n愿君多采撷，此物最相思。\n",
	"江雪\n千山鸟飞绝，万径人踪灭。\n孤舟蓑笠翁，独钓寒江雪。\n",
}

// verses is Chinese poetry, character by character, from files as Windows and others leave them.
func verses() journey {
	all := strings.Join(poems, "\n")
	return journey{
		name: "verse", start: "rnn verse", best: true,
		prepare: func(u *user) {
			windows := strings.ReplaceAll(all, "\n", "\r\n")
			b := []byte{0xff, 0xfe}
			for _, c := range utf16.Encode([]rune(windows)) {
				b = binary.LittleEndian.AppendUint16(b, c)
			}
			u.file("poems/a-utf16.txt", string(b))
			u.file("poems/b-crlf.txt", "\uFEFF"+windows)
			u.file("poems/c.txt", all)
			u.run("go tool gradsmith vocab poems -o verse/verse.vocab")
			if v := u.read("verse/verse.vocab"); strings.Contains(v, `\r`) || strings.Contains(v, "\uFEFF") ||
				strings.Contains(v, `\ufeff`) {
				u.t.Errorf("the vocabulary has carriage returns or marks:\n%s", v)
			}
		},
		edit: []string{
			"tokenizer: bytes", "tokenizer: {chars: verse.vocab}",
			"shape: {batch: 32, steps: 64}", "shape: {batch: 2, steps: 8}",
			"size: 64", "size: 8",
			"units: 256", "units: 16",
		},
		data: `--data poems --separator '\n\n' --samples 0`,
		use: func(u *user) {
			out := u.run(u.program + ` sample --prompt 床前 --tokens 30 --seed 1`)
			for _, c := range out {
				if c == utf8.RuneError || !strings.ContainsRune(all, c) {
					u.t.Errorf("%q has a %q, which no poem has", out, c)
				}
			}
			if !strings.HasPrefix(out, "床前") {
				u.t.Errorf("sample prints %q", out)
			}
			u.lines(3, u.program+" perplexity poems/*")
			if _, errOut, err := u.try(u.program + " sample --prompt Rain"); err == nil ||
				!strings.Contains(errOut, `"R"`) && !strings.Contains(errOut, "'R'") {
				u.t.Errorf("a letter that the model does not know: %q", errOut)
			}
		},
		program: `	n := 0
	for text, err := range m.Generate(ctx, "床前") {
		if err != nil {
			return err
		}
		if n++; n == 10 {
			fmt.Println(text != "")
			break
		}
	}
	scored, err := m.Score(ctx, "床前", "明月光")
	if err != nil {
		return err
	}
	fmt.Println(len(scored))`,
		prints: `^true\n3\n$`,
	}
}

// code is Go, from the toolchain's own source, in tokens of byte-pair encoding.
func code() journey {
	return journey{
		name: "code", start: "attention code", best: true,
		prepare: func(u *user) {
			u.run(`go tool gradsmith vocab "$(go env GOROOT)/src/sort" --match '*.go' --bpe 400 -o code/code.bpe`)
		},
		edit: []string{
			`tokenizer: {ascii: {unknown: "?"}}`, "tokenizer: {bpe: code.bpe}",
			"shape: {batch: 12, steps: 64}", "shape: {batch: 2, steps: 16}",
			"size: 128", "size: 16",
			"layers: 4, heads: 4", "layers: 2, heads: 2",
		},
		data: `--data "$(go env GOROOT)/src/sort" --match '*.go' --samples 0`,
		use: func(u *user) {
			if out := u.run(u.program +
				` sample --prompt 'func (x' --tokens 20 --seed 1 --top-p 0.9`); !strings.HasPrefix(out, "func (x") {
				u.t.Errorf("sample prints %q", out)
			}
			if out := u.run(u.program +
				` sample --prompt 'func ' --regex '[a-z]{3}\(\)' --tokens 20 --seed 1`); !regexp.MustCompile(
				`^func [a-z]{3}\(\)\n$`).MatchString(out) {
				u.t.Errorf("a constrained sample is %q", out)
			}
			u.lines(1, `echo '{"prompt":"if err != ","continuations":["nil","x"]}' | `+u.program+" choose")
			u.lines(1, `echo 'return nil' | `+u.program+" embed")
		},
		program: `	n := 0
	for text, err := range m.Generate(ctx, "func main() {\n") {
		if err != nil {
			return err
		}
		if n += len(text); n > 30 {
			break
		}
	}
	fmt.Println(n > 30)`,
		prints: `^true\n$`,
	}
}

// dates are written in words, and in the form of ISO 8601: pairs of lines, one tab in between.
func dates() journey {
	months := strings.Fields("January February March April May June July August September October November December")
	var pairs strings.Builder
	for i := range 120 {
		day, month, year := 1+i*7%28, i*5%12, 1990+i*11%40
		fmt.Fprintf(&pairs, "%d %s %d\t%d-%02d-%02d\n", day, months[month], year, year, month+1, day)
	}
	return journey{
		name: "dates", start: "attention dates --as translate", best: true,
		prepare: func(u *user) { u.file("dates.tsv", pairs.String()) },
		edit: []string{
			"shape: {batch: 32, steps: 128}", "shape: {batch: 4, steps: 16}",
			"source: {steps: 128}", "source: {steps: 32}",
			"units: 128", "units: 8",
			"units: 256", "units: 8",
			"size: 64", "size: 8",
			"size: 64", "size: 8",
		},
		data: "--source dates.tsv",
		use: func(u *user) {
			u.talk(u.program+" translate", "3 March 2021", "28 June 1990")
			u.lines(2, `printf '3 March 2021\n1 May 2000\n' | `+u.program+" translate --beam 3 --regex "+
				"'[0-9]{4}-[0-9]{2}-[0-9]{2}'")
			out, errOut, err := u.try(`printf '1 May 2000\n` + strings.Repeat("x",
				40) + `\n2 May 2000\n' | ` + u.program + " translate")
			if err == nil || strings.Count(out, "\n") != 3 ||
				!strings.Contains(errOut, "40 tokens") && !strings.Contains(errOut, "41 tokens") {
				u.t.Errorf("a line that is too long: %v, %q, %q", err, out, errOut)
			}
		},
		program: `	answer, err := m.Translate(ctx, "3 March 2021", 2)
	if err != nil {
		return err
	}
	score, err := m.Score(ctx, "3 March 2021", "2021-03-03")
	if err != nil {
		return err
	}
	fmt.Println(len([]rune(answer)) < 16, score < 0)`,
		prints: `^true true\n$`,
	}
}

// talk writes lines to a command, each after the answer to the one before has come.
func (u *user) talk(line string, said ...string) {
	u.t.Helper()
	cmd := exec.CommandContext(u.ctx, "sh", "-c", "exec "+line)
	cmd.Dir, cmd.Env = u.dir, u.env
	in, err := cmd.StdinPipe()
	if err != nil {
		u.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		u.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	answers := bufio.NewReader(out)
	for _, s := range said {
		fmt.Fprintln(in, s)
		if _, err := answers.ReadString('\n'); err != nil {
			u.t.Errorf("%s answers %q with %v", line, s, err)
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		u.t.Errorf("%s: %v", line, err)
	}
}

// segments are the lit segments of the digits of a display, from the top one clockwise, the middle one last.
var segments = [10]string{"abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"}

// side of a picture of a digit.
const side = 8

// digit draws a digit as a display of segments would, between the top left corner and a shift, more or less bright.
func digit(label, n int) []byte {
	x := make([]byte, side*side)
	left, top, light := n%3, n/3%2, byte(155+n*37%100)
	lit := func(row, column int) { x[(top+row)*side+left+column] = light }
	for _, s := range segments[label] {
		for i := range 3 {
			switch s {
			case 'a':
				lit(0, 1+i)
			case 'b':
				lit(i, 4)
			case 'c':
				lit(3+i, 4)
			case 'd':
				lit(6, 1+i)
			case 'e':
				lit(3+i, 0)
			case 'f':
				lit(i, 0)
			case 'g':
				lit(3, 1+i)
			}
		}
	}
	return x
}

// digits are pictures in a table with a header, as Kaggle has them, and an autoencoder that is told their labels.
func digits() journey {
	var table strings.Builder
	table.WriteString("label")
	for i := range side * side {
		fmt.Fprintf(&table, ",pixel%d", i)
	}
	table.WriteByte('\n')
	for i := range 200 {
		fmt.Fprint(&table, i*7%10)
		for _, v := range digit(i*7%10, i) {
			fmt.Fprintf(&table, ",%d", v)
		}
		table.WriteByte('\n')
	}
	return journey{
		name: "digits", short: true, start: "vae digits", best: true,
		prepare: func(u *user) { u.file("train.csv", table.String()) },
		edit: []string{
			"vectors: 784", fmt.Sprintf("vectors: %d\nlabels: 10", side*side),
			"shape: {batch: 64}", "shape: {batch: 16}",
			"units: 256", "units: 12",
			"units: 256", "units: 12",
			"size: 16", "size: 4",
		},
		data: "--data train.csv --label-column label --scale 255",
		use: func(u *user) {
			data := " --data train.csv --label-column label --scale 255"
			u.run(u.program + " sample -n 6 --label 3")
			u.run(u.program + " sample -n 6 -o each.png") // a row for each label
			u.run(u.program + " reconstruct -n 20" + data)
			u.image("reconstructions.png", 10*(side+1)+1, 4*(side+1)+1)
			u.run(u.program + " interpolate 1 2 --label 3,7 --steps 9" + data)
			u.image("interpolation.png", 9*(side+1)+1, side+1+1)
			u.lines(200, u.program+" encode"+data)
			if out := u.run(u.program + " eval --samples 3" + data); !strings.Contains(out, "200 vectors") {
				u.t.Errorf("eval says\n%s", out)
			}
		},
		program: `	made, err := m.Sample([]int32{3, 7}, 1)
	if err != nil {
		return err
	}
	again, err := m.Reconstruct(made, []int32{3, 7})
	if err != nil {
		return err
	}
	way, err := m.Interpolate(made[:64], made[64:], 5, 3)
	if err != nil {
		return err
	}
	fmt.Println(ctx.Err(), len(made), len(again), len(way))`,
		prints: `^<nil> 128 128 320\n$`,
	}
}

// drawings are the same pictures in the files of the MNIST database, and two networks that learn to draw what is asked
// for.
func drawings() journey {
	idx := func(dims []uint32, data []byte) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(append(binary.BigEndian.AppendUint32(nil, 0x800+uint32(len(dims))), func() (head []byte) {
			for _, d := range dims {
				head = binary.BigEndian.AppendUint32(head, d)
			}
			return head
		}()...))
		z.Write(data)
		z.Close()
		return b.String()
	}
	return journey{
		name: "drawings", start: "gan drawings",
		prepare: func(u *user) {
			var images, labels []byte
			for i := range 200 {
				labels = append(labels, byte(i*7%10))
				images = append(images, digit(i*7%10, i)...)
			}
			u.file("images.gz", idx([]uint32{200, side, side}, images))
			u.file("labels.gz", idx([]uint32{200}, labels))
		},
		edit: []string{
			"vectors: 784", fmt.Sprintf("vectors: %d\nlabels: 10", side*side),
			"shape: {batch: 64}", "shape: {batch: 16}",
			"noise: 64", "noise: 8",
			"units: 128", "units: 12",
			"units: 128", "units: 12",
			"units: 128", "units: 12",
			"units: 128", "units: 12",
		},
		data: "--data images.gz --labels labels.gz",
		use: func(u *user) {
			u.run(u.program + " sample -n 6 --label 3 --columns 3")
			u.image("samples.png", 3*(side+1)+1, 2*(side+1)+1)
			for _, line := range u.lines(6, u.program+" sample -n 6 --label 3 -o made.csv > /dev/null; cat made.csv") {
				if strings.Count(line, ",") != side*side-1 {
					u.t.Errorf("a vector is %q", line)
				}
			}
			u.lines(200, u.program+" score --data images.gz --labels labels.gz")
			u.run(u.program + " eval --samples 50 --data images.gz --labels labels.gz")
		},
		program: `	made, err := m.Sample([]int32{3, 7}, 1)
	if err != nil {
		return err
	}
	verdicts, err := m.Score(made, []int32{3, 7})
	if err != nil {
		return err
	}
	fmt.Println(ctx.Err(), len(made), len(verdicts))`,
		prints: `^<nil> 128 2\n$`,
	}
}

var cityNames = strings.Fields(
	`Amsterdam Antwerp Athens Barcelona Belgrade Berlin Bern Birmingham Bologna Bordeaux Bremen Brussels Bucharest Budapest
Cologne Copenhagen Dublin Edinburgh Florence Genoa Glasgow Göteborg Hamburg Helsinki Istanbul Kraków Leipzig Lisbon Ljubljana London Lyon Madrid Malmö
Manchester Marseille Milan Munich Naples Oslo Palermo Paris Porto Poznań Prague Riga Rome Rotterdam Sarajevo Seville Sofia Stockholm Stuttgart Tallinn
Turin Valencia Vienna Vilnius Warsaw Wrocław Zagreb Zürich`)

// cities are names, a line each, and an autoencoder that writes new ones, and those between two.
func cities() journey {
	return journey{
		name: "cities", start: "vae cities --as sentences", best: true,
		prepare: func(u *user) { u.file("names.txt", strings.Join(cityNames, "\n")+"\n") },
		edit: []string{
			"shape: {batch: 32, steps: 120}", "shape: {batch: 8, steps: 16}",
			"size: 64", "size: 8",
			"units: 256", "units: 12",
			"size: 32", "size: 4",
			"size: 64", "size: 8",
			"units: 256", "units: 12",
		},
		data: "--data names.txt --shuffle",
		use: func(u *user) {
			u.lines(5, u.program+" sample -n 5 --temperature 1")
			u.lines(7, u.program+" interpolate Berlin Paris --steps 7")
			u.lines(2, `printf 'Oslo\nRome\n' | `+u.program+" reconstruct")
			u.lines(2, `printf 'Oslo\nRome\n' | `+u.program+" encode")
			u.run(u.program + " eval --data names.txt --samples 2")
		},
		program: `	names, err := m.Sample(ctx, 3, 1)
	if err != nil {
		return err
	}
	way, err := m.Interpolate(ctx, "Berlin", "Paris", 5)
	if err != nil {
		return err
	}
	again, err := m.Reconstruct(ctx, []string{"Oslo"})
	if err != nil {
		return err
	}
	fmt.Println(len(names), len(way), len(again))`,
		prints: `^3 5 1\n$`,
	}
}

// towns are the same names, and two networks that write new ones.
func towns() journey {
	names := slices.DeleteFunc(slices.Clone(cityNames),
		func(s string) bool { return len(s) != utf8.RuneCountInString(s) })
	return journey{
		name: "towns", start: "gan towns --as lines",
		prepare: func(u *user) { u.file("names.txt", strings.Join(names, "\n")+"\n") },
		edit: []string{"shape: {batch: 32, steps: 64}", "shape: {batch: 8, steps: 16}", "size: 64", "size: 8",
			"units: 256", "units: 12", "size: 32", "size: 8", "units: 128", "units: 12",
			"pretraining: {steps: 4000, rate: 0.003, discriminator: 300}",
			"pretraining: {steps: 8, rate: 0.003, discriminator: 4}"},
		data: "--data names.txt",
		use: func(u *user) {
			u.lines(4, u.program+" sample -n 4 --seed 3")
			u.lines(2, `printf 'Oslo\nRome\n' | `+u.program+" score")
			for _, line := range u.lines(3, u.program+" sample -n 3 --regex '[A-Z][a-z]{3,6}'") {
				if !regexp.MustCompile(`^[A-Z][a-z]{3,6}$`).MatchString(line) {
					u.t.Errorf("a constrained name is %q", line)
				}
			}
			u.run(u.program + " eval --data names.txt")
		},
		program: `	names, err := m.Sample(ctx, 2, 1, 1)
	if err != nil {
		return err
	}
	verdicts, err := m.Score(names)
	if err != nil {
		return err
	}
	fmt.Println(len(names), len(verdicts))`,
		prints: `^2 2\n$`,
	}
}
