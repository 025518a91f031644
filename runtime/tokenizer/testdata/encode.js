// encode.js FILE: reads texts, a JSON string a line, and writes for each a line {"ids", "text"}: its tokens by the tokenizer
// of FILE, and what they decode to. It needs the package tokenizers.
const fs = require('fs');
const { Tokenizer } = require('tokenizers');

async function main() {
	const t = Tokenizer.fromFile(process.argv[2]);
	const lines = fs.readFileSync(0, 'utf8').split('\n').filter((l) => l);
	const out = [];
	for (const line of lines) {
		const e = await t.encode(JSON.parse(line), null, { addSpecialTokens: false });
		const ids = e.getIds();
		out.push(JSON.stringify({ ids, text: ids.length ? await t.decode(ids, false) : '' }));
	}
	fs.writeFileSync(1, out.join('\n') + '\n');
}
main();
