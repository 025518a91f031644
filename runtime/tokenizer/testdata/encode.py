# encode.py MODEL: reads texts, a JSON string a line, and writes for each a line {"ids", "text"}: its pieces by the
# SentencePiece model, and what they decode to. It needs the package sentencepiece.
import json
import sys

import sentencepiece

model = sentencepiece.SentencePieceProcessor(model_file=sys.argv[1])
for line in sys.stdin.buffer.read().split(b"\n"):
    if line:
        ids = model.encode(json.loads(line))
        print(json.dumps({"ids": ids, "text": model.decode(ids)}))
