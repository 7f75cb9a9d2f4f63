// Reads golden vectors (refconv vectors --out DIR), has a convolution compute each, and compares.
//     node vectors_reader.js DIR [convolution.js]
// Without a second argument it is vectors_convolution.js, which shows what yours is given and has to return.
const fs = require("fs"), path = require("path");
const [directory, file = path.join(__dirname, "vectors_convolution.js")] = process.argv.slice(2);
const convolve = require(path.resolve(file));

// "0x1.8p+1" is 0x18 / 16 * 2 ** 1. JSON has no such numerals, and JavaScript cannot read them.
function number(text) {
  const parts = /^(-?)0x([01])\.?([0-9a-f]*)p([-+]\d+)$/.exec(text);
  if (!parts) return Number(String(text).replace("inf", "Infinity"));      // a number, "nan", "inf", "-inf"
  const [, sign, whole, fraction, exponent] = parts;
  return (sign ? -1 : 1) * parseInt(whole + fraction, 16) * 2 ** (Number(exponent) - 4 * fraction.length);
}

function read(name) {
  const vector = JSON.parse(fs.readFileSync(path.join(directory, name + ".json")));
  for (const key of ["input", "weight", "bias", "grad_output", "result", "bound"]) {
    vector[key] = vector[key]?.map(number);                                // some functions have no bias, say
  }
  return vector;
}

let wrong = 0;
const { vectors } = JSON.parse(fs.readFileSync(path.join(directory, "index.json")));
for (const { name } of vectors) {
  const vector = read(name), { result, bound } = vector, got = convolve(vector);
  const passes = (y, at) => Object.is(y, got[at]) || bound[at] === Infinity || Math.abs(got[at] - y) <= bound[at];
  const bad = result.filter((y, at) => !passes(y, at)).length;
  if (bad) console.log(`${name}: ${bad} of ${result.length} numbers are wrong`);
  wrong += bad > 0;
}
console.log(`${vectors.length} vectors, ${wrong} wrong`);
process.exitCode = wrong > 0 ? 1 : 0;
