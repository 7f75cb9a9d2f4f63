/* conv2d for float32, as a program that refconv can check. docs/protocol.md has the format of the files.
 *
 *     cc -O2 -o conv_protocol conv_protocol.c
 *     refconv check "exec:./conv_protocol" --target-profile conv_protocol.toml */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int axes; int64_t size[8], count; void *data; } Array;

static void refuse(const char *why) { fprintf(stderr, "%s\n", why); exit(1); }

/* The next array of IN.npz: 30 bytes, a name, and a .npy file. Without data if there is none. */
static Array next_array(FILE *file, const char *type) {
    unsigned char zip[30], npy[10];
    char text[65536] = "", *number, *end;
    Array a = {0, {0}, 1, NULL};
    if (fread(zip, 30, 1, file) < 1 || memcmp(zip, "PK\3\4", 4) != 0) return a;
    fseek(file, zip[26] + 256 * zip[27], SEEK_CUR);
    if (fread(npy, 10, 1, file) < 1 || fread(text, npy[8] + 256 * npy[9], 1, file) < 1) refuse("IN.npz is cut off");
    if (!strstr(text, type)) refuse("the arrays must be float32");
    for (number = strchr(text, '(') + 1; *number != ')'; number = end + strspn(end, ", "))
        a.count *= a.size[a.axes++] = strtoll(number, &end, 10);
    size_t bytes = a.count * (type[2] - '0');
    a.data = malloc(bytes + 1);
    if (fread(a.data, 1, bytes, file) < bytes) refuse("IN.npz is cut off");
    return a;
}

static void conv2d(const char *in, const char *out) {
    FILE *file = fopen(in, "rb");
    Array arguments = next_array(file, "<i8"), input = next_array(file, "<f4");
    Array weight = next_array(file, "<f4"), bias = next_array(file, "<f4");
    fclose(file);

    const int64_t *a = arguments.data, groups = a[3];
    const int64_t *stride = a + 4, *begin = a + 6, *end = a + 8, *dilation = a + 10;
    if (a[1] != 0 || a[2] != 2 || input.axes < 3 || input.axes > 4 || weight.axes != 4) refuse("not a conv2d");
    const int64_t *x_size = input.size + input.axes - 3, *w_size = weight.size;
    const int64_t N = input.axes == 4 ? input.size[0] : 1, C = x_size[0], K = w_size[0];
    int64_t y_size[2];
    if (groups < 1 || K % groups != 0 || C != w_size[1] * groups) refuse("the channels do not match");
    if (bias.data && (bias.axes != 1 || bias.size[0] != K)) refuse("the bias must have one element per output channel");
    for (int i = 0; i < 2; i++) {
        int64_t room = x_size[i + 1] + begin[i] + end[i] - dilation[i] * (w_size[i + 2] - 1) - 1;
        if (stride[i] < 1 || dilation[i] < 1 || begin[i] < 0 || end[i] < 0) refuse("an argument is out of range");
        if (x_size[i + 1] < 1 || w_size[i + 2] < 1 || room < 0) refuse("the kernel does not fit into the input");
        y_size[i] = room / stride[i] + 1;
    }

    file = fopen(out, "wb");
    fwrite("\x93NUMPY\1\0v\0", 1, 10, file);                        /* v: 118 bytes of text follow */
    int length = fprintf(file, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    if (input.axes == 4) length += fprintf(file, "%lld, ", (long long)N);
    length += fprintf(file, "%lld, %lld, %lld), }", (long long)K, (long long)y_size[0], (long long)y_size[1]);
    fprintf(file, "%*s\n", 117 - length, "");
    for (int64_t n = 0; n < N; n++)
    for (int64_t oc = 0; oc < K; oc++)
    for (int64_t oh = 0; oh < y_size[0]; oh++)
    for (int64_t ow = 0; ow < y_size[1]; ow++) {
        double sum = bias.data ? ((float *)bias.data)[oc] : 0;
        for (int64_t c = 0; c < w_size[1]; c++)
        for (int64_t kh = 0; kh < w_size[2]; kh++)
        for (int64_t kw = 0; kw < w_size[3]; kw++) {
            int64_t ic = oc / (K / groups) * w_size[1] + c;
            int64_t ih = oh * stride[0] - begin[0] + kh * dilation[0];
            int64_t iw = ow * stride[1] - begin[1] + kw * dilation[1];
            if (ih < 0 || ih >= x_size[1] || iw < 0 || iw >= x_size[2]) continue;      /* padding */
            sum += (double)((float *)input.data)[((n * C + ic) * x_size[1] + ih) * x_size[2] + iw]
                 * ((float *)weight.data)[((oc * w_size[1] + c) * w_size[2] + kh) * w_size[3] + kw];
        }
        float y = (float)sum;
        fwrite(&y, sizeof y, 1, file);
    }
    fclose(file);
    free(arguments.data), free(input.data), free(weight.data), free(bias.data);
}

int main(int argc, char **argv) {
    char in[4096], out[4096];
    if (argc == 3) conv2d(argv[1], argv[2]);
    while (argc == 2 && scanf(" %4095[^\n] %4095[^\n]", in, out) == 2) {     /* conv_protocol -  */
        conv2d(in, out);
        puts("ok"), fflush(stdout);
    }
    return 0;
}
