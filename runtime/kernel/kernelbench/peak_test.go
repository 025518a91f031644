package kernelbench

import (
	"testing"

	"github.com/gradsmith/gradsmith/runtime/kernel"
)

// TestPeak: a processor with assembly makes at least a multiply-add a cycle and lane, and none makes a thousand billion
// a thread; without assembly there is no peak.
func TestPeak(t *testing.T) {
	p := Peak(1)
	if fma, _ := limits(kernel.Level()); fma == nil {
		if p != 0 {
			t.Errorf("a peak of %v without a loop that measures it", p)
		}
		return
	}
	if p < 1e9 || p > 1e12 {
		t.Errorf("a peak of %v operations a second", p)
	}
	if Peak(0) != 0 {
		t.Error("no thread makes operations")
	}
}
