package serve

// The bodies of requests that are no completions or chats.

type tokenizeRequest struct {
	Model   string `json:"model"`
	Content string `json:"content"`
	Pieces  bool   `json:"with_pieces"`
}

type detokenizeRequest struct {
	Model  string  `json:"model"`
	Tokens []int32 `json:"tokens"`
}

type embeddingsRequest struct {
	Model      string `json:"model"`
	Input      texts  `json:"input"`
	Encoding   string `json:"encoding_format"`
	Dimensions *int   `json:"dimensions"`
	User       string `json:"user"`
}

type translateRequest struct {
	Model string `json:"model"`
	Input texts  `json:"input"`
	Beam  *int   `json:"beam"`
	Align bool   `json:"alignment"`
}

type fillRequest struct {
	Model string `json:"model"`
	Input string `json:"input"`
	Top   *int   `json:"top"`
}

type encodeRequest struct {
	Model   string      `json:"model"`
	Input   texts       `json:"input"`
	Vectors [][]float32 `json:"vectors"`
	Labels  []int32     `json:"labels"`
}

type decodeLatentRequest struct {
	Model       string      `json:"model"`
	Latent      [][]float32 `json:"latent"`
	Labels      []int32     `json:"labels"`
	Temperature *float64    `json:"temperature"`
	Seed        *int64      `json:"seed"`
}

type interpolateRequest struct {
	Model   string      `json:"model"`
	Input   texts       `json:"input"`
	Vectors [][]float32 `json:"vectors"`
	Steps   *int        `json:"steps"`
	Label   int32       `json:"label"`
}

type imagesRequest struct {
	Model  string  `json:"model"`
	N      *int    `json:"n"`
	Seed   *int64  `json:"seed"`
	Labels []int32 `json:"labels"`
	Width  *int    `json:"width"` // pixels; a square where it is not told
}
