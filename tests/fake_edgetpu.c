/* A stand-in for libedgetpu: the same entry points, and every way in which the real one fails.
 *
 * Compiled by tests/fake_edgetpu.py. What it does is read at every step from the file that the
 * variable FAKE_EDGETPU names, so that a test can pull the device out while somebody computes:
 *
 *   ok                 runs edgetpu-custom-op: each output byte is the sum of the input bytes plus
 *                      its own index, which no network of the tests gives
 *   none               no device is listed; the delegate cannot be made
 *   refuse             a device is listed; the delegate cannot be made, without a word
 *   old                the compiled file needs a newer library
 *   mismatch           as libedgetpu built for another TensorFlow Lite: an error when preparing
 *   gone               a run ends with an error, as when the stick is pulled out
 *   crash-STEP         a segmentation fault; STEP is load, list, create, prepare or run
 *   hang-STEP          never returns
 *
 * Struct layouts: the first members of tensorflow/lite/core/c/common.h, which TensorFlow 2.5 to
 * LiteRT 2.3 share. What follows them, and differs, is never touched; the registration that is
 * passed by value is padded beyond the longest there is.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum { kOk = 0, kError = 1 } Status;
typedef struct { int size; int data[]; } IntArray;
typedef struct { float scale; int32_t zero_point; } QuantizationParams;

typedef struct {
  int type;
  void* data;
  IntArray* dims;
  QuantizationParams params;
  int allocation_type;
  size_t bytes;
  const void* allocation;
  const char* name;
  struct Delegate* delegate;
  int buffer_handle;
  _Bool data_is_stale;
  _Bool is_variable;
  struct { int type; void* params; } quantization;
  void* sparsity;
  const IntArray* dims_signature;
} Tensor;

typedef struct {
  IntArray* inputs;
  IntArray* outputs;
} Node; /* longer in truth */

struct Context;
struct Delegate;

typedef struct {
  void* (*init)(struct Context*, const char*, size_t);
  void (*free)(struct Context*, void*);
  Status (*prepare)(struct Context*, Node*);
  Status (*invoke)(struct Context*, Node*);
  const char* (*profiling_string)(const struct Context*, const Node*);
  int32_t builtin_code;
  const char* custom_name;
  int version;
  char padding[128];
} Registration;

typedef struct Context {
  size_t tensors_size;
  Status (*GetExecutionPlan)(struct Context*, IntArray**);
  Tensor* tensors;
  void* impl_;
  Status (*ResizeTensor)(struct Context*, Tensor*, IntArray*);
  void (*ReportError)(struct Context*, const char*, ...);
  Status (*AddTensors)(struct Context*, int, int*);
  Status (*GetNodeAndRegistration)(struct Context*, int, Node**, Registration**);
  Status (*ReplaceNodeSubsetsWithDelegateKernels)(struct Context*, Registration, const IntArray*,
                                                  struct Delegate*);
} Context; /* longer in truth */

typedef struct Delegate {
  void* data_;
  Status (*Prepare)(Context*, struct Delegate*);
  Status (*CopyFromBufferHandle)(Context*, struct Delegate*, int, Tensor*);
  Status (*CopyToBufferHandle)(Context*, struct Delegate*, int, Tensor*);
  void (*FreeBufferHandle)(Context*, struct Delegate*, int*);
  int64_t flags;
  void* opaque_delegate_builder;
} Delegate;

typedef struct { int type; const char* path; } Device; /* edgetpu_c.h: 0 is PCI, 1 is USB */

static _Bool told_to(const char* wanted) {
  char word[32] = "ok";
  const char* path = getenv("FAKE_EDGETPU");
  FILE* file = path ? fopen(path, "r") : NULL;
  if (file) {
    if (fscanf(file, "%31s", word) != 1) strcpy(word, "ok");
    fclose(file);
  }
  return strcmp(word, wanted) == 0;
}

static void fail_at(const char* step) {
  char word[32];
  snprintf(word, sizeof word, "crash-%s", step);
  if (told_to(word)) raise(SIGSEGV);
  snprintf(word, sizeof word, "hang-%s", step);
  if (told_to(word)) {
    fprintf(stderr, "stand-in: waiting for ever in %s\n", step);
    for (;;) pause();
  }
}

static Status run(Context* context, Node* node) {
  fail_at("run");
  if (told_to("gone")) {
    context->ReportError(context, "USB transfer error 1 [LibUsbDataInCallback]");
    return kError;
  }
  uint8_t sum = 0;
  for (int i = 0; i < node->inputs->size; i++) {
    const Tensor* input = &context->tensors[node->inputs->data[i]];
    for (size_t k = 0; k < input->bytes; k++) sum += ((const uint8_t*)input->data)[k];
  }
  for (int i = 0; i < node->outputs->size; i++) {
    Tensor* output = &context->tensors[node->outputs->data[i]];
    for (size_t k = 0; k < output->bytes; k++) ((uint8_t*)output->data)[k] = (uint8_t)(sum + k);
  }
  return kOk;
}

static Status prepare_node(Context* context, Node* node) {
  (void)node;
  if (told_to("mismatch")) {
    context->ReportError(context, "Internal: Unsupported data type in custom op handler: 0");
    return kError;
  }
  if (told_to("old")) {
    context->ReportError(context,
                         "Failed precondition: Package requires runtime version (14), which is "
                         "newer than this runtime version (13).");
    return kError;
  }
  return kOk;
}

static Status prepare(Context* context, Delegate* delegate) {
  fail_at("prepare");
  IntArray* plan;
  if (context->GetExecutionPlan(context, &plan) != kOk) return kError;
  IntArray* wanted = malloc(sizeof(IntArray) + (size_t)plan->size * sizeof(int));
  wanted->size = 0;
  for (int i = 0; i < plan->size; i++) {
    Node* node;
    Registration* registration;
    if (context->GetNodeAndRegistration(context, plan->data[i], &node, &registration) != kOk) {
      free(wanted);
      return kError;
    }
    if (registration->custom_name && !strcmp(registration->custom_name, "edgetpu-custom-op"))
      wanted->data[wanted->size++] = plan->data[i];
  }
  Registration kernel = {0};
  kernel.prepare = prepare_node;
  kernel.invoke = run;
  kernel.custom_name = "EdgeTpuDelegateForCustomOp";
  kernel.version = 1;
  Status status = kOk;
  if (wanted->size > 0)
    status = context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, wanted, delegate);
  free(wanted);
  return status;
}

__attribute__((constructor)) static void load(void) { fail_at("load"); }

const char* edgetpu_version(void) { return "BuildLabel(N/A), RuntimeVersion(14)"; }

void edgetpu_verbosity(int verbosity) { (void)verbosity; }

Device* edgetpu_list_devices(size_t* count) {
  fail_at("list");
  *count = told_to("none") ? 0 : 1;
  if (*count == 0) return NULL;
  Device* devices = calloc(1, sizeof(Device));
  devices[0].type = 1;
  devices[0].path = "/sys/bus/usb/devices/2-1";
  return devices;
}

void edgetpu_free_devices(Device* devices) { free(devices); }

Delegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count,
                                        void (*report)(const char*)) {
  (void)keys, (void)values, (void)count, (void)report; /* the real one says nothing either */
  fail_at("create");
  if (told_to("none") || told_to("refuse")) return NULL;
  Delegate* delegate = calloc(1, sizeof(Delegate));
  delegate->Prepare = prepare;
  delegate->flags = 1; /* kTfLiteDelegateFlagsAllowDynamicTensors */
  return delegate;
}

void tflite_plugin_destroy_delegate(Delegate* delegate) { free(delegate); }
