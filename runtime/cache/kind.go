// Package cache holds the keys and values of earlier tokens as decoders keep them: in float32, in bf16, or in 8 bits.
// The numbers are written once, when a token is read, and read again with every token that follows, so that a long
// text costs the bytes of its cache at every step.
//
// The package knows how the numbers lie, and nothing of models; package kernel rounds, writes and reads them.
package cache

import "fmt"

// Kind says how the numbers of a cache are stored.
type Kind uint8

const (
	F32  Kind = iota // float32, exact
	BF16             // rounded to the nearest bf16, ties to even: 8 bits of precision
	Q8               // 8 bits, and a float32 for each 32 features of a head
)

// Block is the number of features that share a scale in a cache of Q8.
const Block = 32

var kindNames = [...]string{F32: "f32", BF16: "bf16", Q8: "q8"}

// Kinds returns all kinds, the largest first.
func Kinds() []Kind { return []Kind{F32, BF16, Q8} }

// Check is the error that says that k is no kind.
func (k Kind) Check() error {
	if int(k) >= len(kindNames) {
		return fmt.Errorf("no kind of caches has the number %d", uint8(k))
	}
	return nil
}

// String returns f32, bf16 or q8.
func (k Kind) String() string {
	if k.Check() != nil {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// ParseKind is the kind that has the name s: f32, bf16 or q8.
func ParseKind(s string) (Kind, error) {
	for k, name := range kindNames {
		if name == s {
			return Kind(k), nil
		}
	}
	return 0, fmt.Errorf("no kind of caches %q: want f32, bf16 or q8", s)
}

// MarshalText returns what [Kind.String] does.
func (k Kind) MarshalText() ([]byte, error) {
	if err := k.Check(); err != nil {
		return nil, err
	}
	return []byte(kindNames[k]), nil
}

// UnmarshalText is [ParseKind].
func (k *Kind) UnmarshalText(text []byte) error {
	v, err := ParseKind(string(text))
	if err == nil {
		*k = v
	}
	return err
}
