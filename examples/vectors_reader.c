// Reads golden vectors (refconv vectors --out DIR), computes each with a plain convolution, and compares.
//     cc -O2 -o vectors_reader vectors_reader.c -lm && ./vectors_reader DIR/*/*/*.json
// The convolution is the function `convolve`. Put yours there.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 16 };  // numbers in an array
static double input[MOST], weight[MOST], bias[MOST], grad[MOST], want[MOST], bound[MOST], got[MOST];
// Sizes: N C D H W of the image, C_out C_in/groups kD kH kW of the kernel, N C_out oD oH oW of the output.
static double I[5], K[5], O[5], stride[3], padding[3], dilation[3], groups;
static int narrow;  // sums in float instead of double

// Every array has a line of its own, "name": [numbers]. strtod reads hexadecimal numerals, inf and nan.
static int numbers(const char *text, const char *name, double *out, int most) {
    const char *at = text ? strstr(text, name) : NULL;
    int count = 0;
    while (at && *(at += strcspn(at, "[,]")) != ']') {
        if (count == most) fprintf(stderr, "too many numbers in %s\n", name), exit(2);
        at += strspn(at, "[, \"");
        if (*at != ']') out[count++] = strtod(at, NULL);
    }
    return count;
}

static void add(double *sum, double term) {
    *sum = narrow ? (float)(*sum + (float)term) : *sum + term;
}

static void convolve(const char *op, int has_bias) {
    int forward = !strchr(op, '_'), transposed = strstr(op, "transpose") != NULL;
    int by_weight = strstr(op, "_weight") != NULL, by_bias = strstr(op, "_bias") != NULL;
    int Cg = I[1] / groups, Kg = K[0] / groups;
    double *output = transposed ? input : grad, *size = forward || by_bias ? O : I;
    int channels = size[1], plane = size[2] * size[3] * size[4];
    for (int i = 0; by_bias && i < size[0] * channels * plane; i++) add(&got[i / plane % channels], grad[i]);
    if (by_bias) return;
    for (int n = 0; n < I[0]; n++) for (int k = 0; k < K[0]; k++) for (int c = 0; c < Cg; c++)
    for (int oz = 0; oz < O[2]; oz++) for (int oy = 0; oy < O[3]; oy++) for (int ox = 0; ox < O[4]; ox++)
    for (int tz = 0; tz < K[2]; tz++) for (int ty = 0; ty < K[3]; ty++) for (int tx = 0; tx < K[4]; tx++) {
        int z = oz * stride[0] - padding[0] + tz * dilation[0];
        int y = oy * stride[1] - padding[1] + ty * dilation[1];
        int x = ox * stride[2] - padding[2] + tx * dilation[2];
        if (z < 0 || z >= I[2] || y < 0 || y >= I[3] || x < 0 || x >= I[4]) continue;
        int i = (((n * I[1] + k / Kg * Cg + c) * I[2] + z) * I[3] + y) * I[4] + x;
        int t = (((k * Cg + c) * K[2] + tz) * K[3] + ty) * K[4] + tx;
        int o = (((n * O[1] + k) * O[2] + oz) * O[3] + oy) * O[4] + ox;
        if (forward) add(&got[o], input[i] * weight[t]);
        else if (by_weight) add(&got[t], input[i] * output[o]);
        else add(&got[i], output[o] * weight[t]);
    }
    for (int i = 0; has_bias && i < size[0] * channels * plane; i++) add(&got[i], bias[i / plane % channels]);
}

int main(int argc, char **argv) {
    static char text[1 << 23], op[32];
    int wrong = 0;
    for (int file = 1; file < argc; file++) {
        FILE *f = fopen(argv[file], "rb");
        if (!f) return perror(argv[file]), 2;
        text[fread(text, 1, sizeof text - 1, f)] = 0;
        fclose(f);
        const char *named = strstr(text, "\"op\": \""), *loops = strstr(text, "\"loops\": ");
        if (!named || sscanf(named, "\"op\": \"%31[a-z0-9_]", op) != 1 || numbers(loops, "\"image\":", I, 5) != 5)
            return fprintf(stderr, "%s is no golden vector\n", argv[file]), 2;
        numbers(loops, "\"kernel\":", K, 5), numbers(loops, "\"output\":", O, 5), numbers(loops, "\"groups\":", &groups, 1);
        numbers(loops, "\"stride\":", stride, 3), numbers(loops, "\"padding\":", padding, 3);
        numbers(loops, "\"dilation\":", dilation, 3), numbers(text, "\n\"grad_output\":", grad, MOST);
        numbers(text, "\n\"input\":", input, MOST), numbers(text, "\n\"weight\":", weight, MOST);
        int has_bias = numbers(text, "\n\"bias\":", bias, MOST), bad = 0;
        int count = numbers(text, "\n\"result\":", want, MOST);
        numbers(text, "\n\"bound\":", bound, MOST);
        const char *wide[] = {"float64", "int8", "uint8", "int16"}, *dtype = strstr(text, "\"dtype\": \"") + 10;
        narrow = 1;
        for (int i = 0; i < 4; i++) narrow &= strncmp(dtype, wide[i], strlen(wide[i])) != 0;
        for (int i = 0; i < count; i++) got[i] = 0;
        convolve(op, has_bias);
        for (int i = 0; i < count; i++)
            bad += !(got[i] == want[i] || (isnan(got[i]) && isnan(want[i])) || isinf(bound[i]) ||
                     fabs(got[i] - want[i]) <= bound[i]);
        if (bad) printf("%s: %d of %d numbers are wrong\n", argv[file], bad, count);
        wrong += bad > 0;
    }
    printf("%d vectors, %d wrong\n", argc - 1, wrong);
    return wrong > 0;
}
