package model

// Tokenizer turns text into tokens, the numbers 0 to Vocab-1, and back. Tokenizers are immutable and safe for
// concurrent use.
type Tokenizer interface {
	// Encode turns text into tokens. Its error names the place of what the vocabulary does not have.
	Encode(s string) ([]int32, error)
	// Decode turns tokens into text.
	Decode(tokens []int32) string
	// Piece is the text of one token, which may be a part of a character.
	Piece(token int32) string
	// Vocab is the number of tokens.
	Vocab() int
	// Digest is a hex SHA-256 of everything that decides which text has which tokens.
	Digest() string
}

// Program is what a generated package tells the commands that train it and sample from it.
type Program struct {
	// Info is what the models of New tell about themselves.
	Info *Info
	// New makes a model with the initial parameters of a seed.
	New func(seed uint64) LanguageModel
	// Empty makes a model whose parameters are zero, to load a checkpoint into: nothing is drawn that it would replace.
	Empty func() LanguageModel
	// Tokenizer is what the model was made for.
	Tokenizer Tokenizer
	// SourceTokenizer is what a model with an encoder reads sources with; nil for others.
	SourceTokenizer Tokenizer
	// Checkpoint is the file of parameters that the model comes with: a training begins with them, and other commands
	// use them where no training has made others. It may be empty.
	Checkpoint string
	// Data is the text, or folder of texts, to train on when the command line names none. It may be empty.
	Data string
	// Labels is the file of the labels of that data when the command line names none, of a conditional model. It may
	// be empty.
	Labels string
	// Match is the pattern of the names of files that are read when Data is a folder, such as "*.go". It may be empty.
	Match string
	// Prompt is what samples begin with when the command line has no prompt. It may be empty.
	Prompt string
	// Chat is the name of the template that a server writes conversations in; package serve has the list. Empty stands
	// for the one that the special tokens of the vocabulary show.
	Chat string
	// System is what the system says in a conversation without a message of it. It may be empty.
	System string
}
