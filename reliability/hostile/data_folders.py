"""Strange data folders and files, as they come from other machines and tools, and what the loader must make of each.

for name, case in CASES.items():
    source = case.make(an_empty_folder)      # the path to give to `--data`
    load_dataset(str(source)) …              # must agree with `case.expected`
"""

import gzip
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE, PER_CLASS, FILE_IMAGES = 16, 12, 30


@dataclass(frozen=True)
class Expected:
    """What the loader must say.

    Attributes:
        images: number of training and held-out images together; 0 if it must refuse.
        classes: names of the classes; () for data without labels.
        notes: texts that must stand in the notes or the skipped files.
        error: a text that must stand in the error; "" if it must not refuse.
        colour: the only colour (grey level, or red, green and blue) of the images, or None if it does not matter.
        held_out: number of held-out images, or None for a tenth.
    """

    images: int = 0
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""
    colour: tuple[int, ...] | None = None
    held_out: int | None = None


@dataclass(frozen=True)
class Trial:
    """A way to make strange data in an empty folder; it returns the path to load."""

    make: Callable[[Path], Path]
    expected: Expected


Make = Callable[[Path], object]
TWO = ("cat", "dog")


def picture(seed: int, mode: str = "RGB") -> Image.Image:
    """Draw a picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def pictures(folder: Path, n: int = PER_CLASS, *, suffix: str = "png", mode: str = "RGB", first: int = 0) -> Path:
    """Write n pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(first, first + n):
        picture(index, mode).save(folder / f"{index:03d}.{suffix}")
    return folder


def classes(root: Path, names: tuple[str, ...] = TWO, n: int = PER_CLASS) -> Path:
    """Write pictures into a folder for each class."""
    for number, name in enumerate(names):
        pictures(root / name, n, first=1000 * number)
    return root


def beside(make: Make, names: tuple[str, ...] = TWO) -> Callable[[Path], Path]:
    """Write two good classes, and something strange beside them."""

    def written(root: Path) -> Path:
        make(classes(root / "data", names))
        return root / "data"

    return written


def written(name: str, data: bytes) -> Make:
    """Write a file."""

    def make(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)

    return make


def drawn(name: str, n: int = PER_CLASS) -> Make:
    """Write pictures into a folder of the data."""
    return lambda root: pictures(root / name, n)


def linked(name: str, target: Callable[[Path], Path]) -> Make:
    """Make a symbolic link; `target` gets the data folder."""

    def make(root: Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target(root))

    return make


def away(root: Path, name: str = "store", n: int = PER_CLASS) -> Path:
    """Write pictures outside the data folder."""
    return pictures(root.parent / name, n, first=5000)


def alone(make: Make) -> Callable[[Path], Path]:
    """Make data that are strange as a whole."""

    def made(root: Path) -> Path:
        (root / "data").mkdir()
        make(root / "data")
        return root / "data"

    return made


def together(*makes: Make) -> Make:
    """Make several strange things."""

    def make(root: Path) -> None:
        for one in makes:
            one(root)

    return make


def together_in(folder: Callable[[Path], Path], *makes: Make) -> Callable[[Path], Path]:
    """Make data, and several strange things in their folder."""

    def made(root: Path) -> Path:
        together(*makes)(folder(root))
        return root

    return made


def flat(image: Image.Image, *, suffix: str = "png", n: int = 20, **options: object) -> Callable[[Path], Path]:
    """Write n copies of a picture."""

    def made(root: Path) -> Path:
        (root / "data").mkdir()
        for index in range(n):
            image.save(root / "data" / f"{index}.{suffix}", **options)  # type: ignore[arg-type]
        return root / "data"

    return made


def archive(name: str) -> Callable[[Path], Path]:
    """Write a file that is named as an archive."""

    def made(root: Path) -> Path:
        (root / name).write_bytes(b"PK\x03\x04")
        return root / name

    return made


def some_images(n: int) -> NDArray[np.uint8]:
    """Return n grey images of noise, [n, 16, 16]."""
    return np.random.default_rng(0).integers(0, 256, (n, SIDE, SIDE), dtype=np.uint8)


def tiff(bits: int, photometric: int, grey: bytes) -> Callable[[Path], Path]:
    """Write TIFF files of one grey level: `photometric` 0 means that white is zero, and 1 that black is."""
    data = grey * (SIDE * SIDE * bits // 8 // len(grey))
    tags = [(256, SIDE), (257, SIDE), (258, bits), (259, 1), (262, photometric), (273, 122), (277, 1), (278, SIDE)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in (*tags, (279, len(data))))

    def made(root: Path) -> Path:
        header = b"II*\0" + struct.pack("<IH", 8, len(tags) + 1)
        whole = (header + entries).ljust(122, b"\0") + data
        for index in range(20):
            (root / f"{index}.tif").write_bytes(whole)
        return root

    return made


def npz(**arrays: NDArray[np.generic] | None) -> Callable[[Path], Path]:
    """Write an .npz of 30 images beside the given arrays; None leaves an array out."""

    def made(root: Path) -> Path:
        kept = {
            key: array for key, array in ({"images": some_images(FILE_IMAGES)} | arrays).items() if array is not None
        }
        with (root / "a.npz").open("wb") as file:
            np.savez(file, **kept)  # type: ignore[arg-type]
        return root / "a.npz"

    return made


def idx(labels: list[int] | None, **others: list[int] | int) -> Callable[[Path], Path]:
    """Write IDX files in a folder: 30 images and their labels, and other files by name (`-` as `_`, `.` as `__`).

    The value of another file is its number of images, or its labels.
    """

    def made(root: Path) -> Path:
        _write_idx(root / "train-images-idx3-ubyte.gz", FILE_IMAGES)
        if labels is not None:
            _write_idx(root / "train-labels-idx1-ubyte.gz", labels)
        for name, contents in others.items():
            _write_idx(root / name.replace("__", ".").replace("_", "-"), contents)
        return root

    return made


def _with_test(images: str, labels: list[int]) -> Callable[[Path], Path]:
    """Write IDX files, among them 5 test images of this name, and their labels."""
    test: dict[str, list[int] | int] = {images: 5, images.replace("images", "labels").replace("idx3", "idx1"): [7] * 5}
    return idx(labels, **test)


def _write_idx(path: Path, contents: list[int] | int, *, side: int = SIDE) -> None:
    """Write a file of labels, or of that many images."""
    if isinstance(contents, int):
        images = np.random.default_rng(contents).integers(0, 256, (contents, side, side), dtype=np.uint8)
        data = struct.pack(">4I", 0x803, *images.shape) + images.tobytes()
    else:
        data = struct.pack(">2I", 0x801, len(contents)) + bytes(contents)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def renamed(make: Callable[[Path], Path], **names: str) -> Callable[[Path], Path]:
    """Give IDX files other names; the key is the beginning of the old one, with `_` for `-`, and contents stay."""

    def made(root: Path) -> Path:
        folder = make(root)
        for start, new in names.items():
            (old,) = folder.glob(f"{start.replace('_', '-')}*")
            data = gzip.decompress(old.read_bytes())
            old.unlink()
            (folder / new).write_bytes(gzip.compress(data) if new.endswith(".gz") else data)
        return folder

    return made


def loop(root: Path) -> None:
    """Make two folders that link to each other."""
    (root / "cat" / "to-dog").symlink_to(root / "dog")
    (root / "dog" / "to-cat").symlink_to(root / "cat")


def pages(root: Path) -> None:
    """Write a TIFF and a GIF of two pictures each."""
    for name in ("two.tif", "two.gif"):
        picture(1).save(root / "cat" / name, save_all=True, append_images=[picture(2)])


def splits(*names: str, n: int = PER_CLASS) -> Callable[[Path], Path]:
    """Write two classes into each split."""
    return alone(lambda root: [classes(root / name, n=n) for name in names])


def _clear(alpha: int, mode: str = "RGBA") -> Image.Image:
    return Image.new("RGBA", (SIDE, SIDE), (255, 0, 255, alpha)).convert(mode)


def _deep(dtype: type, value: float) -> Image.Image:
    return Image.fromarray(np.full((SIDE, SIDE), value, dtype))


def _hidden_cases() -> dict[str, Trial]:
    told = Expected(24, TWO, ("ignored 12 image(s) that are hidden",))
    folders = (
        *(".ipynb_checkpoints", "@eaDir", "__MACOSX", "__pycache__", ".git", ".thumbnails", ".Trash-1000", "#recycle"),
        *("$RECYCLE.BIN", "@Recycle", ".AppleDouble", "lost+found", ".DS_Store.d", "__old", "@tmp"),
    )
    return {
        **{f"hidden: {name}": Trial(beside(drawn(name)), told) for name in folders},
        **{
            f"hidden in a class: {name}": Trial(beside(drawn(f"cat/{name}")), told)
            for name in (".ipynb_checkpoints", "@eaDir", "__MACOSX")
        },
        "hidden with folders in it": Trial(beside(lambda root: classes(root / "__MACOSX" / "data", n=6)), told),
        "hidden: resource forks": Trial(
            beside(written("cat/._000.png", b"\0\5\x16\7")), Expected(24, TWO, ("ignored 1 image(s) that are hidden",))
        ),
        "hidden: .DS_Store": Trial(beside(written(".DS_Store", b"Bud1")), Expected(24, TWO)),
        "hidden and empty": Trial(
            beside(lambda root: (root / "@eaDir").mkdir()), Expected(24, TWO, ("ignored 0 image(s) that are hidden",))
        ),
        "hidden: a link": Trial(
            beside(linked(".link", away)), Expected(24, TWO, ("ignored 12 image(s) that are hidden",))
        ),
        "only hidden images": Trial(
            alone(lambda root: pictures(root / ".cache").parent),
            Expected(error="ignored 12 image(s) that are hidden"),
        ),
        "the folder itself is hidden": Trial(lambda root: classes(root / ".data"), Expected(24, TWO)),
    }


def _nth_picture_away(n: int) -> Callable[[Path], Path]:
    return lambda root: away(root) / f"50{n:02d}.png"


def _link_to_data(root: Path) -> Path:
    classes(root / "real")
    (root / "data").symlink_to("real")
    return root / "data"


def _link_cases() -> dict[str, Trial]:
    return {
        "link: a class": Trial(beside(linked("owl", away)), Expected(36, (*TWO, "owl"))),
        "link: relative": Trial(
            beside(together(away, linked("owl", lambda _root: Path("../store")))), Expected(36, (*TWO, "owl"))
        ),
        "link: all classes": Trial(
            alone(together(linked("cat", away), linked("dog", lambda root: away(root, "kennel")))), Expected(24, TWO)
        ),
        "link: to a link": Trial(
            beside(together(linked("../one", away), linked("owl", lambda root: root.parent / "one"))),
            Expected(36, (*TWO, "owl")),
        ),
        "link: a folder in a class": Trial(beside(linked("cat/more", away)), Expected(36, TWO)),
        "link: files": Trial(
            beside(together(*(linked(f"owl/{i}.png", _nth_picture_away(i)) for i in range(5)))),
            Expected(29, (*TWO, "owl"), ("too few images to hold one",)),
        ),
        "link: the data folder": Trial(_link_to_data, Expected(24, TWO)),
        "link: to a class": Trial(
            beside(linked("kitten", lambda root: root / "cat")), Expected(24, TWO, ("kitten is",))
        ),
        "link: to itself above": Trial(
            beside(linked("cat/up", lambda root: root)), Expected(24, TWO, ("read 1 folder(s) only once",))
        ),
        "link: two that link to each other": Trial(beside(loop), Expected(24, TWO, ("read 2 folder(s) only once",))),
        "link: broken, a picture": Trial(
            beside(linked("cat/x.png", lambda root: root / "nowhere")),
            Expected(24, TWO, ("1 link(s) that lead nowhere",)),
        ),
        "link: broken, a class": Trial(
            beside(linked("owl", lambda root: root / "nowhere")), Expected(24, TWO, ("1 link(s) that lead nowhere",))
        ),
        "link: to itself": Trial(
            beside(linked("owl", lambda root: root / "owl")), Expected(24, TWO, ("1 link(s) that lead nowhere",))
        ),
        "link: to a device": Trial(
            beside(linked("cat/zero.png", lambda _root: Path("/dev/zero"))), Expected(24, TWO, ("other kinds: 1 .png",))
        ),
    }


def _split_cases() -> dict[str, Trial]:
    cases = {
        f"split: {train} and {test}": Trial(
            splits(train, test), Expected(48, TWO, (f"{train} is trained on, and ", f"{test} is held out"), held_out=24)
        )
        for train, test in (
            *(("train", "test"), ("Train", "Test"), ("TRAIN", "TEST"), ("training", "testing"), ("train", "val")),
            *(("train", "valid"), ("train", "validation"), ("Training", "Validation")),
        )
    }
    return cases | {
        "split: three": Trial(splits("train", "val", "test"), Expected(48, TWO, ("val is not used",), held_out=24)),
        "split: train alone": Trial(splits("train"), Expected(24, TWO)),
        "split: a folder around it": Trial(
            alone(lambda root: [classes(root / "v1" / name) for name in ("train", "test")]),
            Expected(48, TWO, held_out=24),
        ),
        "split: hidden beside it": Trial(
            alone(lambda root: [classes(root / n) for n in ("train", "test", "__MACOSX")]),
            Expected(48, TWO, ("24 image(s) that are hidden",), held_out=24),
        ),
        "split: without classes": Trial(
            alone(lambda root: [pictures(root / n, 20) for n in ("train", "test")]), Expected(40, held_out=20)
        ),
        "split: a class that only the test set has": Trial(
            alone(lambda root: (classes(root / "train"), classes(root / "test", (*TWO, "owl")))[0].parent),
            Expected(60, TWO, ("1 class(es) are only in the test set: owl",), held_out=36),
        ),
        "split: one test image": Trial(
            alone(lambda root: (classes(root / "train"), pictures(root / "test" / "cat", 1))[0].parent),
            Expected(error="the test set has 1 image"),
        ),
        "split: few to train on": Trial(
            splits("train", "test", n=9), Expected(error="there are 18 images; at least 20 are needed")
        ),
        "split: a test set that cannot be read": Trial(
            alone(together(lambda root: classes(root / "train"), written("test/x.png", b"x"))),
            Expected(error="none of the 1 images of the test set can be read"),
        ),
        "classes named train and bus": Trial(
            alone(lambda root: classes(root, ("bus", "train"))), Expected(24, ("bus", "train"))
        ),
        "classes named test and val": Trial(
            alone(lambda root: classes(root, ("test", "val"))),
            Expected(24, ("test", "val"), ("test and val are taken as classes",)),
        ),
        "linked splits": Trial(
            alone(
                together(
                    linked("train", lambda root: classes(root.parent / "one")),
                    linked("test", lambda root: classes(root.parent / "two")),
                )
            ),
            Expected(48, TWO, held_out=24),
        ),
    }


def _in_format(suffix: str) -> Callable[[Path], Path]:
    return lambda root: pictures(root, 20, suffix=suffix)


def _format_cases() -> dict[str, Trial]:
    magenta, white = (255, 0, 255), (255,)  # white alone is grey data
    put = ("20 image(s) have transparent pixels, which were put on white",)
    palette = _clear(255, "RGB").convert("P")
    return {
        **{
            f"format: {suffix}": Trial(_in_format(suffix), Expected(20))
            for suffix in ("png", "PNG", "jpg", "JPEG", "jfif", "webp", "gif", "bmp", "tif", "TIFF")
        },
        "TIFF: grey": Trial(flat(Image.new("L", (SIDE, SIDE), 9), suffix="tif"), Expected(20, colour=(9,))),
        "TIFF: 16 bits": Trial(flat(_deep(np.uint16, 9 * 256 + 255), suffix="tif"), Expected(20, colour=(9,))),
        **{
            f"TIFF: {bits} bits, photometric {photometric}": Trial(
                tiff(bits, photometric, grey), Expected(20, colour=colour)
            )
            for bits, photometric, grey, colour in (
                (1, 1, b"\0", (0,)),
                (1, 0, b"\0", (255,)),
                (4, 0, b"\x11", (0xEE,)),
                (8, 1, b"\x10", (0x10,)),
                (8, 0, b"\x10", (0xEF,)),
                (12, 1, b"\xab\xca\xbc", (0xAB,)),
                (16, 1, b"\x34\x12", (0x12,)),
                (16, 0, b"\x34\x12", (0xED,)),
            )
        },
        "TIFF: CMYK": Trial(flat(Image.new("CMYK", (SIDE, SIDE)), suffix="tif"), Expected(20, colour=white)),
        "TIFF: LZW": Trial(
            flat(_clear(255, "RGB"), suffix="tif", compression="tiff_lzw"), Expected(20, colour=magenta)
        ),
        "TIFF: 32 bits": Trial(flat(_deep(np.float32, 0.5), suffix="tif"), Expected(error="its pixels have 32 bits")),
        "TIFF: whole numbers of 32 bits": Trial(
            flat(_deep(np.int32, 7), suffix="tif"), Expected(error="its pixels have 32 bits")
        ),
        "TIFF: damaged": Trial(
            beside(written("cat/x.tif", b"II*\0\0\0")), Expected(24, TWO, ("x.tif: it is not an image",))
        ),
        "several pictures in a file": Trial(beside(pages), Expected(26, TWO, ("2 file(s) hold several pictures",))),
        "transparent": Trial(flat(_clear(0)), Expected(20, notes=put, colour=white)),
        "half transparent": Trial(flat(_clear(128)), Expected(20, notes=put, colour=(255, 127, 255))),
        "opaque": Trial(flat(_clear(255)), Expected(20, colour=magenta)),
        "transparent WebP": Trial(flat(_clear(0), suffix="webp", lossless=True), Expected(20, notes=put, colour=white)),
        "transparent TIFF": Trial(flat(_clear(0), suffix="tif"), Expected(20, notes=put, colour=white)),
        "transparent palette": Trial(flat(palette, transparency=bytes(256)), Expected(20, notes=put, colour=white)),
        "transparent GIF": Trial(
            flat(palette, suffix="gif", transparency=int(palette.getpixel((0, 0)))),  # type: ignore[arg-type]
            Expected(20, notes=put, colour=white),
        ),
        "transparent grey and alpha": Trial(
            flat(Image.new("LA", (SIDE, SIDE), (7, 0))), Expected(20, notes=put, colour=(255,))
        ),
        "opaque grey and alpha": Trial(flat(Image.new("LA", (SIDE, SIDE), (7, 255))), Expected(20, colour=(7,))),
        "one transparent grey level": Trial(
            flat(Image.new("L", (SIDE, SIDE), 7), transparency=7), Expected(20, notes=put, colour=(255,))
        ),
        "one transparent colour": Trial(
            flat(Image.new("RGB", (SIDE, SIDE), magenta), transparency=magenta), Expected(20, notes=put, colour=white)
        ),
        "one transparent level of 16 bits": Trial(
            flat(_deep(np.uint16, 300), transparency=300), Expected(20, notes=put, colour=(255,))
        ),
        "another level is transparent": Trial(flat(_deep(np.uint16, 300), transparency=301), Expected(20, colour=(1,))),
    }


def _other_cases() -> dict[str, Trial]:
    ignored = "file(s) of other kinds: "
    return {
        **{
            f"beside it: {name}": Trial(
                beside(written(name, b"x")), Expected(24, TWO, (f"ignored 1 {ignored}1 {kind}",))
            )
            for name, kind in (
                *(("README.md", ".md"), ("boxes.csv", ".csv"), ("Thumbs.db", ".db"), ("cat/desktop.ini", ".ini")),
                *(("cat/a.heic", ".heic"), ("cat/a.svg", ".svg"), ("cat/a.psd", ".psd"), ("LICENCE", "no suffix")),
                *(("annotations/a.xml", ".xml"), ("cat/a.npy", ".npy")),
            )
        },
        "a labels.csv without a header": Trial(
            beside(written("labels.csv", b"x")),
            Expected(error="labels.csv holds no labels: line 1 names the columns 'x'"),
        ),
        "a folder that ends in .png": Trial(
            beside(lambda root: pictures(root / "owl.png")), Expected(36, (*TWO, "owl.png"))
        ),
        "an empty class": Trial(
            beside(lambda root: (root / "owl").mkdir()), Expected(24, TWO, ("1 sub-folder(s) hold no image",))
        ),
        "a class of broken files": Trial(
            beside(written("owl/a.png", b"")), Expected(24, TWO, ("a.png: it is not an image of a known kind",))
        ),
        "a pipe": Trial(beside(lambda root: os.mkfifo(root / "cat" / "x.png")), Expected(24, TWO, ("1 .png",))),
        "pictures beside the classes": Trial(
            beside(lambda root: pictures(root, 3)), Expected(27, (), ("3 image(s) lie in",))
        ),
        "a class of one image": Trial(
            beside(lambda root: pictures(root / "owl", 1)), Expected(25, (*TWO, "owl"), ("too few images to hold one",))
        ),
        "deep classes": Trial(alone(lambda root: classes(root / "a" / "b" / "c")), Expected(24, TWO)),
        "names that cannot be shown": Trial(
            alone(lambda root: classes(root, ("line\nend", "\x1b[2J"))), Expected(24, ("\x1b[2J", "line\nend"))
        ),
        "names that are not UTF-8": Trial(
            alone(lambda root: classes(root, (os.fsdecode(b"caf\xe9"), "tea"))),
            Expected(24, ("caf\\udce9", "tea")),
        ),
        "npz: labels that are not UTF-8": Trial(
            npz(labels=np.array([b"caf\xe8", b"caf\xe9", b"tea"])[np.arange(FILE_IMAGES) % 3]),
            Expected(FILE_IMAGES, (r"caf\xe8", r"caf\xe9", "tea")),
        ),
        "names in other scripts": Trial(
            alone(lambda root: classes(root, ("猫", "собака"))), Expected(24, ("собака", "猫"))
        ),
        "one class": Trial(alone(lambda root: classes(root, ("cat",), 24)), Expected(24)),
        "no images": Trial(alone(together()), Expected(error="holds no images")),
        "only folders": Trial(alone(lambda root: (root / "a" / "b").mkdir(parents=True)), Expected(error="no images")),
        "only other files": Trial(
            alone(written("a.heic", b"x")),
            Expected(error="ignored 1 file(s) of other kinds: 1 .heic"),
        ),
        "an archive in a folder": Trial(
            alone(written("d.zip", b"x")),
            Expected(error="d.zip: it is read as it is: `--data"),
        ),
        **{
            f"an archive: {name}": Trial(archive(name), Expected(error=f"is an archive: unpack it with `{command}"))
            for name, command in (
                *(("a.tar.gz", "mkdir"), ("a.tgz", "mkdir"), ("my pictures.tgz", "mkdir '")),
                *(("a.tar.xz", "mkdir"), ("a.7z", "7z x"), ("a.rar", "unrar x")),
            )
        },
        **{
            f"a damaged archive: {name}": Trial(archive(name), Expected(error=f"cannot be read as {kind}"))
            for name, kind in (
                *(("a.zip", "a zip"), ("A.ZIP", "a zip"), ("a.tar", "an uncompressed tar")),
                ("a.parquet", "Parquet"),
            )
        },
        "one picture": Trial(archive("a.png"), Expected(error="nor an IDX file")),
        "sizes that differ": Trial(
            beside(lambda root: Image.new("RGB", (20, 16)).save(root / "dog" / "x.png")),
            Expected(error="x.png is 20 × 16 pixels"),
        ),
    }


def _file_cases() -> dict[str, Trial]:
    three = np.arange(FILE_IMAGES) % 3
    digits, seen = [0, 7, 9] * 10, ("0", "7", "9")
    return {
        "npz: labels 0, 100, 200": Trial(npz(labels=three * 100), Expected(30, ("0", "100", "200"))),
        "npz: labels [N, 1]": Trial(npz(labels=three[:, None]), Expected(30, ("0", "1", "2"))),
        "npz: one-hot": Trial(npz(labels=np.eye(3)[three]), Expected(30, ("0", "1", "2"))),
        "npz: text": Trial(npz(labels=np.array(["owl", "cat", "ä"])[three]), Expected(30, ("cat", "owl", "ä"))),
        "npz: bytes": Trial(npz(labels=np.array([b"owl", b"cat", b"dog"])[three]), Expected(30, ("cat", "dog", "owl"))),
        "npz: whole floats": Trial(npz(labels=three.astype(np.float32)), Expected(30, ("0", "1", "2"))),
        "npz: fractions": Trial(npz(labels=three + 0.5), Expected(error="whole numbers ≥ 0 or text")),
        "npz: below 0": Trial(npz(labels=three - 1), Expected(error="from -1 to 1")),
        "npz: NaN": Trial(npz(labels=np.full(30, np.nan)), Expected(error="from nan to nan")),
        "npz: too few labels": Trial(npz(labels=three[:5]), Expected(error="30 images but 5 labels")),
        "npz: objects": Trial(npz(labels=np.array(["a"] * 30, object)), Expected(error="`labels=labels.astype(str)`")),
        "npz: every image its own class": Trial(
            npz(labels=np.arange(30)), Expected(30, tuple(sorted(map(str, range(30)), key=int)), ("without regard to",))
        ),
        "npz: y_train": Trial(npz(y_train=three), Expected(30, ("0", "1", "2"))),
        "npz: arrays without names": Trial(
            npz(images=None, arr_0=some_images(30), arr_1=three),
            Expected(30, (), ("arr_1 (images are read from arr_0, and labels from labels or y_train)",)),
        ),
        "npz: other arrays": Trial(
            npz(latents=np.zeros((30, 4)), digits=three),
            Expected(30, (), ("ignored 2 array(s) of ", "digits, latents")),
        ),
        "npz: Keras' names": Trial(
            npz(images=None, x_train=some_images(30), y_train=three, x_test=some_images(6), y_test=three[:6]),
            Expected(36, ("0", "1", "2"), ("x_train is trained on, and x_test is held out",), held_out=6),
        ),
        "npz: a test set without labels": Trial(
            npz(images=None, x_train=some_images(30), x_test=some_images(6)),
            Expected(36, (), ("x_test is held out",), held_out=6),
        ),
        "npz: a test set that belongs to other images": Trial(
            npz(x_test=some_images(6)), Expected(30, (), ("array(s) of", "x_test"))
        ),
        "npz: too few labels of the test set": Trial(
            npz(images=None, x_train=some_images(30), y_train=three, x_test=some_images(6), y_test=three[:5]),
            Expected(error="6 test images but 5 test labels"),
        ),
        "npz: a grey test set of coloured images": Trial(
            npz(images=None, x_train=np.repeat(some_images(30)[..., None], 3, axis=3), x_test=some_images(6)),
            Expected(error="of the shape [16, 16, 3] but test images of the shape [16, 16]"),
        ),
        "npz: sorted": Trial(npz(labels=np.sort(three)), Expected(30, ("0", "1", "2"))),
        "IDX: labels with gaps": Trial(idx(digits), Expected(30, seen)),
        "IDX: no labels": Trial(idx(None), Expected(30)),
        "IDX: too few labels": Trial(idx([1, 2]), Expected(error="30 images but 2 labels")),
        **{
            f"IDX: labels in {name}": Trial(renamed(idx(digits), train_labels=name), Expected(30, seen))
            for name in ("train-labels-idx1-ubyte", "train-labels.idx1-ubyte", "train-labels.idx1-ubyte.gz")
        },
        **{
            f"IDX: images in {name}": Trial(renamed(idx(digits), train_images=name), Expected(30, seen))
            for name in ("train-images-idx3-ubyte", "train-images.idx3-ubyte", "train-images.idx3-ubyte.gz")
        },
        "IDX: short names": Trial(
            renamed(idx(digits), train_images="train-images.idx", train_labels="train-labels.idx"), Expected(30, seen)
        ),
        **{
            f"IDX: a test set, {name}": Trial(
                _with_test(name, digits),
                Expected(35, seen, ("images-idx3-ubyte.gz is trained on, and ",), held_out=5),
            )
            for name in ("t10k_images_idx3_ubyte__gz", "t10k_images__idx3_ubyte", "test_images_idx3_ubyte")
        },
        "IDX: the file is named, and there is a test set": Trial(
            lambda root: idx(digits, t10k_images_idx3_ubyte=5)(root) / "train-images-idx3-ubyte.gz",
            Expected(35, seen, ("t10k-images-idx3-ubyte is held out",), held_out=5),
        ),
        "IDX: a test set without labels": Trial(
            idx(None, t10k_images_idx3_ubyte=5), Expected(35, (), ("t10k-images-idx3-ubyte is held out",), held_out=5)
        ),
        "IDX: too few labels of the test set": Trial(
            idx(digits, t10k_images_idx3_ubyte=5, t10k_labels_idx1_ubyte=[0]),
            Expected(error="5 test images but 1 test labels"),
        ),
        "IDX: two test sets": Trial(
            idx(digits, t10k_images_idx3_ubyte=5, test_images_idx3_ubyte=5), Expected(error="two test sets beside it")
        ),
        "IDX: a test set of another size": Trial(
            alone(lambda root: _write_idx(idx(None)(root) / "t10k-images-idx3-ubyte", 5, side=20)),
            Expected(error="images of the shape [16, 16] but test images of the shape [20, 20]"),
        ),
        "IDX: two training sets": Trial(
            idx(digits, fashion_train_images_idx3_ubyte=30),
            Expected(error="fashion-train-images-idx3-ubyte, "),
        ),
        "IDX: one of two training sets is named": Trial(
            lambda root: idx(digits, fashion_train_images_idx3_ubyte=30)(root) / "train-images-idx3-ubyte.gz",
            Expected(30, seen),
        ),
        "IDX: packed and unpacked": Trial(
            idx(digits, train_images_idx3_ubyte=30),
            Expected(30, seen, ("ignored 1 file(s) or folder(s) beside the IDX files: train-images-idx3-ubyte.gz",)),
        ),
        "IDX: a resource fork beside it": Trial(idx(digits, ___train_images_idx3_ubyte=1), Expected(30, seen)),
        "IDX: pictures and other files beside it": Trial(
            together_in(idx(digits), drawn("cat"), written("0.png", b"x"), written("labels.csv", b"x")),
            Expected(30, seen, ("beside the IDX files: 0.png, cat, labels.csv",)),
        ),
    }


CASES: dict[str, Trial] = {
    **_hidden_cases(),
    **_link_cases(),
    **_split_cases(),
    **_format_cases(),
    **_other_cases(),
    **_file_cases(),
}
