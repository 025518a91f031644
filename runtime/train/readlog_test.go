package train

import (
	"strings"
	"testing"
)

// A log is read back as it was written; what was cut off is left out, what is none of a log is an error.
func TestReadLog(t *testing.T) {
	var b strings.Builder
	l := NewLog(&b)
	l.Step(Progress{Step: 1, Loss: 3.5})
	l.Step(Progress{Step: 2, Loss: 3.25})
	l.Evaluated(Evaluation{Step: 2, Loss: 3})
	read := func(s string) (losses, validations []float64, err error) {
		err = ReadLog(strings.NewReader(s),
			func(step int, loss float64) { losses = append(losses, float64(step), loss) },
			func(step int, loss float64) { validations = append(validations, float64(step), loss) })
		return losses, validations, err
	}
	losses, validations, err := read(b.String() + `{"step":3,"lo`)
	if err != nil || len(losses) != 4 || losses[2] != 2 || losses[3] != 3.25 || len(validations) != 2 ||
		validations[1] != 3 {
		t.Errorf("%v, %v, %v", losses, validations, err)
	}
	if _, _, err := read(b.String() + "text\n"); err == nil || !strings.Contains(err.Error(), "line 4") {
		t.Errorf("a line that is none of a log: %v", err)
	}
}
