// A plain convolution for vectors_reader.js, of every function that golden vectors are about: one loop nest, over the
// places of the output, the taps of the kernel, and the places of the image that they lie over.
//     vector   what is in the file; operands and result are flat arrays of numbers
//     returns  the result, as a flat array
const range = (count) => [...Array(count).keys()];

module.exports = function convolve({ op, dtype, loops, input, weight, bias, grad_output, result }) {
  const { image: I, kernel: K, output: O, stride: s, padding: p, dilation: d, groups: [groups] } = loops;
  const round = /int|float64/.test(dtype) ? (sum) => sum : Math.fround;    // the other formats are summed in float32
  const sums = new Float64Array(result.length), output = grad_output || input;
  const add = (at, term) => { sums[at] = round(sums[at] + round(term)); };
  const channel = (at, [, channels, D, H, W]) => Math.floor(at / (D * H * W)) % channels;
  if (op.endsWith("_bias")) {
    grad_output.forEach((g, at) => add(channel(at, O), g));
    return sums;
  }

  const Cg = I[1] / groups, Kg = K[0] / groups;
  const axes = [0, 1, 2].map((a) => {                                      // [output place, tap, image place] along each
    const all = range(O[a + 2]).flatMap((o) => range(K[a + 2]).map((t) => [o, t, o * s[a] - p[a] + t * d[a]]));
    return all.filter(([, , i]) => i >= 0 && i < I[a + 2]);
  });
  for (const n of range(I[0])) for (const k of range(K[0])) for (const c of range(Cg))
    for (const [oz, tz, z] of axes[0]) for (const [oy, ty, y] of axes[1]) for (const [ox, tx, x] of axes[2]) {
      const i = (((n * I[1] + Math.floor(k / Kg) * Cg + c) * I[2] + z) * I[3] + y) * I[4] + x;
      const t = (((k * Cg + c) * K[2] + tz) * K[3] + ty) * K[4] + tx;
      const o = (((n * O[1] + k) * O[2] + oz) * O[3] + oy) * O[4] + ox;
      if (!op.includes("_")) add(o, input[i] * weight[t]);
      else if (op.endsWith("_weight")) add(t, input[i] * output[o]);
      else add(i, output[o] * weight[t]);
    }
  const size = op.includes("_") ? I : O;
  if (bias) sums.forEach((_, at) => add(at, bias[channel(at, size)]));
  return sums;
};
