"""What a pickle may name: the types that checkpoints are made of, what is merely unknown, and what would do harm."""

from __future__ import annotations

import sys
from typing import Literal

Verdict = Literal["known", "inert", "foreign", "dangerous"]
"""`known`: checkpoints need it; `inert`: harmless to name, but none needs it called; `foreign`: somebody's own class;
`dangerous`: no checkpoint needs it, or what it does when loaded is written in the file.
"""

_BUILTINS = (
    "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple type Ellipsis "
    "NotImplemented abs max min sum len round BaseException Exception ArithmeticError AssertionError AttributeError "
    "EOFError IndexError KeyError KeyboardInterrupt LookupError NotImplementedError OSError OverflowError "
    "RuntimeError StopIteration TypeError ValueError ZeroDivisionError"
)
_NUMPY_SCALARS = (
    "bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 intc intp uintc longlong ulonglong float16 float32 "
    "float64 longdouble float128 complex64 complex128 str_ bytes_ datetime64 timedelta64 dtype ndarray generic number"
)
_REBUILT = (
    "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter _rebuild_parameter_with_state "
    "_rebuild_qtensor _rebuild_sparse_tensor _rebuild_sparse_csr_tensor _rebuild_meta_tensor_no_storage "
    "_rebuild_nested_tensor _rebuild_wrapper_subclass _rebuild_device_tensor_from_numpy "
    "_rebuild_device_tensor_from_cpu_tensor _rebuild_xla_tensor"
)
_TORCH = (
    "Size device dtype Tensor Generator layout memory_format finfo iinfo "
    "float16 float32 float64 half float double bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool short "
    "int long complex32 complex64 complex128 quint8 qint8 qint32 quint4x2 quint2x4 strided sparse_coo sparse_csr "
    "per_tensor_affine per_channel_affine per_tensor_symmetric per_channel_symmetric per_channel_affine_float_qparams "
    "contiguous_format channels_last preserve_format float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz "
    "float8_e8m0fnu float4_e2m1fn_x2"
)

_MEMORY_FORMATS = " torch.contiguous_format torch.channels_last torch.channels_last_3d torch.preserve_format"
_OPERATORS = "or_ itemgetter add sub mul truediv lt le eq ne ge gt neg"

# What PyTorch's weights_only, picklescan and fickling let pass, and what plain Python pickles as data.
_KNOWN = {
    "builtins": _BUILTINS,
    "collections": "OrderedDict defaultdict Counter deque ChainMap",
    "copyreg": "_reconstructor __newobj__ __newobj_ex__",
    "_codecs": "encode",
    "functools": "partial",
    "argparse": "Namespace",
    "types": "GenericAlias SimpleNamespace NoneType MappingProxyType",
    "datetime": "datetime date time timedelta timezone",
    "zoneinfo": "ZoneInfo ZoneInfo._unpickle",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "uuid": "UUID SafeUUID",
    "random": "Random",
    "typing": "Any Callable Dict List Literal Mapping Optional Sequence Set Tuple Type Union",
    "array": "array _array_reconstructor",
    "io": "BytesIO StringIO",
    "_io": "BytesIO StringIO",
    "itertools": "count",
    "time": "struct_time",
    "torch.torch_version": "TorchVersion",
    "logging": "getLogger Logger RootLogger",
    "re": "_compile Pattern RegexFlag",
    "pathlib": "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath",
    "pathlib._local": "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath",
    "numpy": _NUMPY_SCALARS,
    "numpy.core.multiarray": "_reconstruct scalar",
    "numpy._core.multiarray": "_reconstruct scalar",
    "numpy.core.numeric": "_frombuffer",
    "numpy._core.numeric": "_frombuffer",
    "numpy.random._pickle": "__randomstate_ctor __generator_ctor __bit_generator_ctor",
    "numpy.ma.core": "_mareconstruct MaskedArray",
    "torch": _TORCH,
    # PyTorch pickles its memory formats by names that reach through a module
    "torch._utils": _REBUILT + _MEMORY_FORMATS,
    "torch._C": "_VariableFunctionsClass",
    "torch._dynamo.decorators": "_DimRange",
    "operator": _OPERATORS,
    "_operator": _OPERATORS,
    "http": "HTTPStatus",
    "numpy.random.bit_generator": "__pyx_unpickle_SeedSequence SeedSequence",
    "torch._tensor": "_rebuild_from_type_v2 _rebuild_from_type Tensor",
    "torch.nn.parameter": "Parameter Buffer UninitializedParameter UninitializedBuffer",
    "torch.nn": "Parameter Buffer",
    "torch.serialization": "_get_layout",
    "torch.storage": "UntypedStorage TypedStorage _UntypedStorage _TypedStorage",
    "torch.jit._pickle": "build_intlist build_doublelist build_boollist build_tensorlist restore_type_tag",
    "torch.nested._internal.nested_tensor": "NestedTensor _rebuild_njt",
}
_NAMES = {module: frozenset(names.split()) for module, names in _KNOWN.items()}

# Classes whose objects hold weights or settings. A class, not a function: its name begins with a capital letter.
_CLASSES_OF = frozenset((
    "torch.nn", "torch.optim", "torch.ao", "torch.distributed.tensor", "torch.distributed._tensor",
    "torch.distributed.fsdp", "torch.distributed._shard", "torch.amp", "torch.cuda.amp", "torch.sparse",
    "torch.quantization", "torch.distributions", "torch.nested", "torch.masked", "torch.autograd.grad_mode",
    "torch.utils.data", "torch.utils.hooks", "torchvision.models", "torchvision.ops", "torchvision.transforms",
    "ultralytics", "models", "utils", "timm", "omegaconf", "transformers", "lightning", "pytorch_lightning",
    "lightning_fabric", "lightning_utilities", "accelerate", "diffusers", "peft", "numpy.dtypes", "numpy.random",
    "collections.abc", "numbers", "ipaddress", "statistics",
))  # fmt: skip
_FUNCTIONS_OF = frozenset(("torch.nn.functional", "torch._C._nn", "torch.nn.init", "torch.utils.data", "math"))

# They load, compile or run what the file tells them to. Whole modules, or single names in them; among them those of
# Python that are no part of the version that looks.
_DANGEROUS = frozenset((
    "torch.load", "torch.serialization.load", "torch.storage._load_from_bytes", "torch.hub", "torch.jit",
    "torch.package", "torch.utils", "torch.fx", "torch.testing", "torch.multiprocessing", "torch._inductor",
    "torch._dynamo", "torch._C", "torch.ops", "torch.classes", "torch.library", "torch.compile", "torch.onnx",
    "torch.export", "torch._export", "torch.profiler", "torch.distributed.run", "torch.distributed.launch",
    "torch.distributed.elastic", "torch.distributed.rpc", "torch.backends", "torch.save",
    "numpy.load", "numpy.save", "numpy.f2py", "numpy.testing", "numpy.distutils", "numpy.ctypeslib", "numpy.lib",
    "pandas.read_pickle", "pandas.eval", "pandas.io", "joblib", "dill", "cloudpickle", "jsonpickle", "yaml",
    "tensorflow.io", "tensorflow.load_library", "tensorflow.python", "keras.models.load_model", "keras.saving",
    "requests", "aiohttp", "httpx", "urllib3", "paramiko", "fabric", "pip", "setuptools", "distutils", "imp", "lib2to3",
    "pexpect", "sh", "IPython", "ipykernel", "jupyter_client", "pytest", "_pytest", "nose", "cffi", "cython", "Cython",
    "numba", "psutil", "docker", "sympy.parsing", "sympy.sympify", "simpleeval", "numexpr", "asteval", "execnet",
    "commands", "popen2", "httplib", "urllib2", "os2", "nt", "ce", "_winapi", "_winreg", "asyncore", "smtpd",
    "telnetlib", "cgi", "pipes", "crypt", "nis", "ossaudiodev", "nanwatch", "ultralytics.utils.checks",
    "ultralytics.utils.downloads", "ultralytics.hub", "transformers.dynamic_module_utils", "accelerate.commands",
    "omegaconf.OmegaConf", "jinja2", "werkzeug", "huggingface_hub", "fsspec", "git", "gitdb", "wandb", "mlflow",
    "pkg_resources", "hydra", "torchvision.datasets", "torchvision.io", "torchaudio", "gdown", "wget", "boto3",
    "botocore", "s3fs", "gcsfs", "cloudpathlib", "ray", "dask", "celery", "fire", "click", "invoke", "plumbum",
    "django", "flask", "nltk", "tqdm.contrib", "diffusers.utils.dynamic_modules_utils", "accelerate.utils",
    "accelerate.launchers", "pytorch_lightning.cli", "lightning.pytorch.cli", "lightning.fabric.cli", "bottle",
    "tornado", "twisted", "gevent", "eventlet", "xmlrpclib", "_pyrepl", "mailcap", "imghdr", "sndhdr", "uu",
    "xdrlib", "nntplib", "msilib", "asynchat", "binhex", "cgitb", "spwd", "aifc", "sunau", "audioop",
    "dummy_threading", "macpath", "_bootsubprocess", "_aix_support", "_osx_support", "_android_support",
    "_apple_support", "_ios_support", "_colorize", "_interpreters", "_interpchannels", "_interpqueues",
    "_testcapi", "_testinternalcapi", "_testlimitedcapi", "annotationlib", "_ctypes_test", "sitecustomize",
    "usercustomize",
))  # fmt: skip
_DANGEROUS_FUNCTIONS_OF = frozenset(
    ("test", "tests", "parser", "formatter", "symbol", "chunk", "compression", "profiling")
)
"""Modules of some Python whose names people give to modules of their own, too: a class there is theirs."""
_DEEPEST = 4
"""Parts of the longest of these names."""
_LOADERS = frozenset(
    (
        "YOLO",
        "YOLOE",
        "YOLOWorld",
        "RTDETR",
        "SAM",
        "FastSAM",
        "NAS",
        "AutoBackend",
        "DetectMultiBackend",
        "LightningCLI",
        "Pipeline",
        "Model",
    )
)
"""Classes of `_CLASSES_OF` that load a file, or fetch and load one, when they are set up."""


def judge(module: str, name: str) -> Verdict:
    """Return what *name* of *module*, as a pickle names them, means for who loads it."""
    full, root = f"{module}.{name}", module.partition(".")[0]
    is_storage = module in ("torch", "torch.cuda") and name.endswith("Storage") and name.isidentifier()
    if name in _NAMES.get(module, ()) or is_storage or root == "__torch__":
        return "known"
    if not _is_plain(module, name):
        return "dangerous"
    if _within(module, _CLASSES_OF):
        return "known" if _is_class(name) else "inert"
    if _within(module, _FUNCTIONS_OF) and "." not in name:
        return "inert"
    if _within(full, _DANGEROUS) or root == "numpy" or (root in sys.stdlib_module_names and root != "__main__"):
        return "dangerous"
    if _within(module, _DANGEROUS_FUNCTIONS_OF) and not _is_class(name):
        return "dangerous"
    return "inert" if root == "torch" else "foreign"


def is_loader(module: str, name: str) -> bool:
    """Tell whether setting up an object of this class loads what it is given: another file, perhaps a hostile one."""
    return _within(module, _CLASSES_OF) and name.rpartition(".")[2] in _LOADERS


def _is_class(name: str) -> bool:
    """Tell whether *name* is a class, or one within another, as everybody writes classes: `Conv2d`, `_Meta`, `A.B`."""
    return all(part.lstrip("_")[:1].isupper() for part in name.split("."))


def _is_plain(module: str, name: str) -> bool:
    """Tell whether *name* stays in *module*: `a.b.system` reaches through it for what it has imported."""
    parts = name.split(".")
    if not all(part.isidentifier() for part in (*parts, *module.split("."))):
        return False
    return len(parts) == 1 or _is_class(".".join(parts[:-1]))


def _within(full: str, prefixes: frozenset[str]) -> bool:
    """Tell whether the dotted name *full* is one of *prefixes*, or lies in one."""
    parts = full.split(".", _DEEPEST)
    return any(".".join(parts[: number + 1]) in prefixes for number in range(min(len(parts), _DEEPEST)))
