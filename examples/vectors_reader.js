// Reads golden vectors (refconv vectors --out DIR), computes each with a plain convolution, and compares.
//     node vectors_reader.js DIR
// The convolution is the function `convolve`. Put yours there.
const fs = require("fs"), path = require("path");

// "0x1.8p+1" is 0x18 / 16 * 2 ** 1. JSON has no such numerals, and JavaScript cannot read them.
function number(text) {
  if (typeof text === "number") return text;
  const parts = text.match(/^(-?)0x([01])\.?([0-9a-f]*)p([-+]\d+)$/);
  if (!parts) return { nan: NaN, inf: Infinity, "-inf": -Infinity }[text];
  const [, sign, whole, fraction, exponent] = parts;
  return (sign ? -1 : 1) * parseInt(whole + fraction, 16) * 2 ** (Number(exponent) - 4 * fraction.length);
}

function convolve({ op, loops, input, weight, bias, grad_output, result }, round) {
  const { image: I, kernel: K, output: O, stride: s, padding: p, dilation: d, groups: [groups] } = loops;
  const sums = new Float64Array(result.length), Cg = I[1] / groups, Kg = K[0] / groups;
  const add = (at, term) => { sums[at] = round(sums[at] + round(term)); };
  const forward = !op.includes("_"), byWeight = op.endsWith("_weight"), size = forward ? O : I;
  const range = (count) => Array(count).keys();
  const axes = [0, 1, 2].map((a) => {            // [output place, tap, image place] along each axis
    const all = [...range(O[a + 2])].flatMap((o) => [...range(K[a + 2])].map((t) => [o, t, o * s[a] - p[a] + t * d[a]]));
    return all.filter(([, , i]) => i >= 0 && i < I[a + 2]);
  });
  const plane = (sizes) => sizes[2] * sizes[3] * sizes[4];
  if (op.endsWith("_bias")) return grad_output.forEach((g, at) => add(Math.floor(at / plane(O)) % O[1], g)), sums;
  const output = grad_output || input;
  for (const n of range(I[0])) for (const k of range(K[0])) for (const c of range(Cg))
    for (const [oz, tz, z] of axes[0]) for (const [oy, ty, y] of axes[1]) for (const [ox, tx, x] of axes[2]) {
      const i = (((n * I[1] + Math.floor(k / Kg) * Cg + c) * I[2] + z) * I[3] + y) * I[4] + x;
      const t = (((k * Cg + c) * K[2] + tz) * K[3] + ty) * K[4] + tx;
      const o = (((n * O[1] + k) * O[2] + oz) * O[3] + oy) * O[4] + ox;
      if (forward) add(o, input[i] * weight[t]);
      else if (byWeight) add(t, input[i] * output[o]);
      else add(i, output[o] * weight[t]);
    }
  if (bias) sums.forEach((_, at) => add(at, bias[Math.floor(at / plane(size)) % size[1]]));
  return sums;
}

const directory = process.argv[2], index = JSON.parse(fs.readFileSync(path.join(directory, "index.json")));
let wrong = 0;
for (const { name } of index.vectors) {
  const vector = JSON.parse(fs.readFileSync(path.join(directory, name + ".json")));
  for (const key of ["input", "weight", "bias", "grad_output", "result", "bound"]) vector[key] = vector[key]?.map(number);
  const round = /int|float64/.test(vector.dtype) ? (sum) => sum : Math.fround;      // the others are summed in float32
  const { result, bound } = vector, got = convolve(vector, round);
  const passes = (y, at) => Object.is(y, got[at]) || bound[at] === Infinity || Math.abs(got[at] - y) <= bound[at];
  const bad = result.filter((y, at) => !passes(y, at)).length;
  if (bad) console.log(`${name}: ${bad} of ${result.length} numbers are wrong`);
  wrong += bad > 0;
}
console.log(`${index.vectors.length} vectors, ${wrong} wrong`);
process.exitCode = wrong > 0 ? 1 : 0;
