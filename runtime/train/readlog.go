package train

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// ReadLog reads what a [Log] has written, and gives the loss of each training step and of each validation. A last line
// that was cut off, as of a training that goes on, is left out.
func ReadLog(r io.Reader, step, validation func(step int, loss float64)) error {
	b := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		line, err := b.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var x struct {
			Step       int
			Loss       *float64
			Validation *float64
		}
		if err := json.Unmarshal(line, &x); err != nil {
			return fmt.Errorf("line %d is none of a training's log: %w", n, err)
		}
		if x.Loss != nil {
			step(x.Step, *x.Loss)
		}
		if x.Validation != nil {
			validation(x.Step, *x.Validation)
		}
	}
}
