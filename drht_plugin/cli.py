"""The command `drht`."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from drht_plugin import __version__
from drht_plugin.errors import DrhtError, DrhtWarning, FileError, InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from drht_plugin.engine.correct import Corrector

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

_NOISY = 2.0
"""Codes of 255 of lifted noise from which on network detail gains most, see docs/experiments.md."""

_CORRECT_EXAMPLES = """\
examples:
  drht correct dark.jpg                        writes dark-corrected.jpg beside it
  drht correct *.tif --output corrected/       a folder of results, each under its own name
  drht correct a.jpg --output b.png            one file, format by its name
  drht correct dark.jpg --shadows 0.6          a gentler lift
  drht correct sky.png --hdr                   also writes the HDR estimate, sky-hdr.exr
  drht correct pano.tif --resume               a gigapixel; if it is stopped, the same again goes on

Exit codes: 0 all done, 1 some file could not be corrected (each is named, the others are done),
2 an argument is wrong and nothing was done, 130 interrupted.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = partial(_warn, warnings.showwarning)
            code: int = options.run(options)
    except KeyboardInterrupt as stop:
        _tell(stop, "interrupted")
        return INTERRUPTED
    except InputError as error:
        _tell(error)
        return USAGE
    except DrhtError as error:
        _tell(error)
        return FAILED
    return code


def _tell(error: BaseException, words: str = "") -> None:
    """Print an error and its notes."""
    for line in (words or str(error), *getattr(error, "__notes__", ())):
        print(f"drht: {line}", file=sys.stderr)


def _warn(
    usual: Callable[..., None], message: Warning | str, category: type[Warning], *place: Any
) -> None:
    """Print the library's own warnings as this command speaks."""
    if issubclass(category, DrhtWarning):
        print(f"drht: {message}", file=sys.stderr)
    else:
        usual(message, category, *place)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="drht", description="Recover over- and under-exposed pictures."
    )
    parser.add_argument("--version", action="version", version=f"drht {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_correct(commands)
    _add_evaluate(commands)
    _add_train(commands)
    _add_train_detail(commands)
    _add_pack(commands)
    _add_gimp(commands)
    _add_worker(commands)
    return parser


def _unit(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", default="default", help="shipped model or a .safetensors file (default: default)"
    )
    _add_device(parser)


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:N or mps (default: auto)"
    )


def _add_correct(commands: Any) -> None:
    parser = commands.add_parser(
        "correct",
        help="correct picture files",
        description="Correct picture files. Format, bit depth, alpha, colour profile, EXIF, XMP, "
        "resolution and orientation stay as they are. The networks see a picture upright and in "
        "sRGB, as its orientation tag and its profile say.",
        epilog=_CORRECT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        help="file (for one picture) or folder; default: NAME-corrected.EXT beside each picture",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing results")
    parser.add_argument(
        "--strength", type=_unit, default=1.0, help="how much is applied, 0 to 1 (default: 1)"
    )
    parser.add_argument(
        "--shadows", type=_unit, default=1.0, help="of it where the picture gets brighter"
    )
    parser.add_argument(
        "--highlights", type=_unit, default=1.0, help="of it where the picture gets darker"
    )
    parser.add_argument(
        "--detail",
        choices=("auto", "guided", "network"),
        default="auto",
        help="guided: detail from the input, tone from the networks; network: a network at full "
        "resolution also mends noise and code steps in lifted shadows, and takes some fifty times "
        "as long; auto (default) is guided, and says where the other would mend lifted noise",
    )
    parser.add_argument(
        "--transfer",
        choices=("srgb", "linear"),
        help="what the values mean (default: linear for OpenEXR and Radiance, else srgb)",
    )
    parser.add_argument("--wrap", action="store_true", help="360° panorama: left and right meet")
    parser.add_argument(
        "--hdr", action="store_true", help="also write the HDR estimate, NAME-hdr.exr (1.0 = clip)"
    )
    parser.add_argument(
        "--quality", type=int, help="of lossy formats, 1 to 100 (default: as the source's)"
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument(
        "--memory",
        metavar="SIZE",
        help="for the pixels on their way, such as 512M or 2G; networks and libraries take some "
        "500 MB beside (default: 96M, and pictures up to 128M are held)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="keep finished rows beside the result until it is whole, in .NAME.drht-resume, and go "
        "on from those of a run that was stopped",
    )
    parser.add_argument(
        "--json", action="store_true", help="a line of JSON for each file, with times in seconds"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress, no names of results")
    _add_model(parser)
    parser.set_defaults(run=_correct)


def _correct(options: argparse.Namespace) -> int:
    from drht_plugin.engine.bands import parse_memory
    from drht_plugin.engine.correct import Corrector

    parse_memory(options.memory)
    targets = [_target(source, options) for source in options.inputs]
    doubles = sorted({str(t) for t in targets if targets.count(t) > 1})
    if doubles:
        raise InputError(f"several pictures would be written to {', '.join(doubles)}")
    corrector = Corrector(model=options.model, device=options.device, threads=options.threads)
    _ = corrector.runner  # a wrong model or device stops here, before any picture
    failures = 0
    for source, target in zip(options.inputs, targets, strict=True):
        try:
            _correct_one(source, target, corrector, options)
        except (FileError, InputError) as error:
            failures += 1
            _tell(error)
    if failures and len(targets) > 1:
        print(f"drht: {failures} of {len(targets)} pictures failed", file=sys.stderr)
    return FAILED if failures else OK


def _target(source: Path, options: argparse.Namespace) -> Path:
    output: Path | None = options.output
    if output is None:
        return source.with_name(f"{source.stem}-corrected{source.suffix}")
    if output.is_dir() or len(options.inputs) > 1 or not output.suffix:
        return output / source.name
    return output


def _correct_one(
    source: Path, target: Path, corrector: Corrector, options: argparse.Namespace
) -> None:
    from tqdm import tqdm

    from drht_plugin.files import correct_file

    if target.exists() and not options.overwrite:
        same = source.exists() and target.samefile(source)
        why = "is the picture itself" if same else "exists already"
        raise FileError(f"{target}: {why}; --overwrite replaces it")
    if options.output is not None and not target.parent.exists():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"{target.parent}: cannot be made: {error.strerror}") from error
    silent = options.quiet or options.json or not sys.stderr.isatty()
    with tqdm(total=100, desc=source.name, unit="%", leave=False, disable=silent) as bar:
        report = correct_file(
            source,
            target,
            corrector=corrector,
            hdr=target.with_name(f"{source.stem}-hdr.exr") if options.hdr else None,
            strength=options.strength,
            shadows=options.shadows,
            highlights=options.highlights,
            detail=options.detail,
            transfer=options.transfer,
            wrap=options.wrap,
            quality=options.quality,
            memory=options.memory,
            resume=options.resume,
            progress=lambda share: bar.update(int(100 * share) - bar.n) and None,
        )
    if options.json:
        print(json.dumps(asdict(report)), flush=True)
    elif not options.quiet:
        alone = " (exposed well, left as it is)" if report.left_alone else ""
        print(f"{source} -> {target}{alone}", flush=True)
        lifted = options.strength * options.shadows * report.lifted_noise
        noisy = lifted > _NOISY and not report.left_alone
        if options.detail == "auto" and noisy and corrector.has_detail:
            noise = f"noise of about {lifted:.0f} codes of 255"
            print(f"{source}: has {noise} now; --detail network mends it", file=sys.stderr)
        if report.hdr:
            print(f"{source} -> {report.hdr}", flush=True)


def _add_run(parser: argparse.ArgumentParser) -> None:
    """What every training is told."""
    parser.add_argument(
        "data",
        type=Path,
        nargs="+",
        help="folder of .exr, .hdr, .jpg or .png images, or a pack",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--minutes", type=float, help="training time (default: the recipe's)")
    parser.add_argument("--seed", type=int, help="of all that is drawn (default: the recipe's)")
    parser.add_argument("--validation", type=Path, help="folder or pack to watch, not trained on")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument(
        "--report", type=float, default=120.0, help="seconds between reports (default: 120)"
    )
    _add_device(parser)


def _add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train both networks on HDR images",
        description="Train both networks jointly on views of HDR images, taken by a virtual camera "
        "with wrong exposures. Writes checkpoint.pt, log.csv, validation.csv, log.png, sheet.png "
        "and at the end weights.safetensors with weights.json, for --model. The model card of the "
        "shipped weights says how they were made.",
    )
    _add_run(parser)
    parser.add_argument(
        "--recipe",
        choices=("default", "gpu", "paper"),
        default="default",
        help="default: fresh weights, 85 minutes; gpu: on from the shipped weights, 8 minutes on a "
        "large GPU, with photographs and pages beside HDR images, as the shipped ones were made; "
        "paper: the networks, losses and rate of Yang et al. 2018, without our additions",
    )
    parser.add_argument(
        "--architecture",
        help="drht-d-2 (shipped), drht-d-1 (without gains), drht-p2-2 (half the cost), drht-wide-2 "
        "(twice), drht-paper-1",
    )
    parser.add_argument(
        "--start",
        help="model name or .safetensors file to begin from (default: fresh weights; gpu: default)",
    )
    parser.add_argument("--learning-rate", type=float, help="peak (default: 2e-3; paper: 1e-2)")
    parser.add_argument(
        "--megapixels", type=float, help="size of a batch (default: 0.3; gpu: 3.93)"
    )
    parser.add_argument(
        "--term",
        action="append",
        default=[],
        metavar="NAME=WEIGHT",
        help="a term of the loss and its weight, in place of the recipe's; 0 leaves it out",
    )
    parser.set_defaults(run=_train)


def _train(options: argparse.Namespace) -> int:
    from drht_plugin.training.loop import RECIPES, train

    names = ("minutes", "seed", "learning_rate", "megapixels", "start", "architecture")
    recipe = _recipe(RECIPES, options, names)
    loss = {**recipe.loss, **dict(_term(text) for text in options.term)}
    recipe = replace(recipe, loss={name: weight for name, weight in loss.items() if weight})
    weights = train(
        options.data,
        options.out,
        recipe,
        validation=options.validation,
        device=options.device,
        resume=options.resume,
        report_seconds=options.report,
    )
    print(weights)
    return OK


_Recipe = TypeVar("_Recipe", bound="DataclassInstance")


def _recipe(
    recipes: Mapping[str, _Recipe], options: argparse.Namespace, names: Sequence[str]
) -> _Recipe:
    """The recipe that the options name, with what they say of it."""
    given = {name: getattr(options, name) for name in names}
    said = {name: value for name, value in given.items() if value is not None}
    return replace(recipes[options.recipe], **said)


def _term(text: str) -> tuple[str, float]:
    """A term of the loss as NAME=WEIGHT."""
    name, _, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise InputError(f"--term is {text!r}; expected NAME=WEIGHT") from None


def _add_train_detail(commands: Any) -> None:
    parser = commands.add_parser(
        "train-detail",
        help="train the network of network detail on HDR images",
        description="Train the detail network on crops of shots by a virtual camera, each with the "
        "survey that a model makes of the whole shot. Writes checkpoint.pt, log.csv, "
        "validation.csv and at the end weights-detail.safetensors with its .json. Beside "
        "NAME.safetensors and named NAME-detail.safetensors they give that model network detail. "
        "The model card of the shipped weights says how they were made.",
    )
    _add_run(parser)
    parser.add_argument("--model", default="default", help="whose surveys to train with")
    parser.add_argument(
        "--recipe",
        choices=("default", "gpu"),
        default="default",
        help="default: fresh weights, 60 minutes; gpu: on from the shipped weights, 6 minutes on a "
        "large GPU with --workers",
    )
    parser.add_argument(
        "--start",
        metavar="MODEL",
        help="whose detail network to begin from (default: fresh weights; gpu: default)",
    )
    parser.add_argument("--learning-rate", type=float, help="peak (default: 1.5e-3)")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that draw pictures (default: 0)"
    )
    parser.set_defaults(run=_train_detail)


def _train_detail(options: argparse.Namespace) -> int:
    from drht_plugin.training.detail import RECIPES, train_detail

    weights = train_detail(
        options.data,
        options.out,
        _recipe(RECIPES, options, ("minutes", "seed", "start", "learning_rate")),
        workers=options.workers,
        model=options.model,
        validation=options.validation,
        device=options.device,
        resume=options.resume,
        report_seconds=options.report,
    )
    print(weights)
    return OK


def _add_pack(commands: Any) -> None:
    parser = commands.add_parser(
        "pack",
        help="put folders of images into one small file to train from",
        description="Put folders of HDR images and photographs into one file, about 200 kB an HDR "
        "image of 1024×512 and photographs as they are, which `drht train` reads with no more than "
        "torch, safetensors and OpenCV. Images whose licence is unsure are left out.",
    )
    parser.add_argument(
        "data", type=Path, nargs="+", help="folder of .exr, .hdr, .jpg or .png images"
    )
    parser.add_argument("out", type=Path, help="file to write")
    parser.add_argument(
        "--rate",
        type=int,
        default=60,
        help="size of HDR images in thousandths of 16 bits (default: 60)",
    )
    parser.set_defaults(run=_pack)


def _pack(options: argparse.Namespace) -> int:
    from drht_plugin.training.scenes import pack

    count = pack(options.data, options.out, compression=options.rate)
    print(f"{count} scenes -> {options.out}")
    return OK


_EVALUATE_NOTES = """\
Unknown names of methods or metrics are answered by the list of those known. The numbers do not
depend on --jobs.

Exit codes: 0 all measured, 1 some pictures were left out (each is named, the others are measured),
2 an argument or the manifest is wrong and nothing was done, 130 interrupted (what was measured is
kept beside the JSON as OUT.partial).
"""


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="measure corrections against known truth",
        description="Measure drht and the methods it is compared with, on real pairs, or on views "
        "of HDR images or whole panoramas shot by a virtual camera with a fixed seed. Prints "
        "Markdown tables of means with 95 % bootstrap intervals, in all and by group. Needs "
        "drht-plugin[evaluate].",
        epilog=_EVALUATE_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--pairs",
        type=Path,
        metavar="MANIFEST",
        help="CSV with columns input, ref_ldr; where present hdr, exposure_scale; others group",
    )
    source.add_argument("--hdr", type=Path, metavar="FOLDER", help="folder of HDR images: views")
    source.add_argument(
        "--panoramas", type=Path, metavar="FOLDER", help="the same, its 360° panoramas as a whole"
    )
    parser.add_argument("--seed", type=int, default=7, help="of views and noise (default: 7)")
    parser.add_argument("--count", type=int, default=200, help="views to take (default: 200)")
    parser.add_argument("--methods", default="all", help="names with commas (default: all)")
    parser.add_argument(
        "--metrics", help="names with commas, or all (default: all but fsimc, which is slow)"
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="OUT",
        help="write every picture's values; a killed run goes on by the same command",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FOLDER", help="write FOLDER/index.html with pictures"
    )
    parser.add_argument(
        "--jobs", type=int, help="processes, each with one thread (default: all cores)"
    )
    _add_model(parser)
    parser.set_defaults(run=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    from drht_plugin.evaluation.command import evaluate

    return evaluate(options)


_GIMP_NOTES = """\
Without --profile, all profiles of GIMP 3 are taken that are where Linux, macOS, Windows, Flatpak
and Snap keep them. The plug-in runs in GIMP's own Python and needs nothing there; it starts the
Python that this command runs in. GIMP shows it after its next start, under Filters, Enhance.

Exit codes: 0 all is well, 1 something is not (each is named), 2 an argument is wrong.
"""


def _add_gimp(commands: Any) -> None:
    parser = commands.add_parser(
        "gimp",
        help="put the plug-in into GIMP 3, take it out, check it",
        description="Put the plug-in into GIMP 3, take it out, or check that it works.",
        epilog=_GIMP_NOTES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")
    for name, text in (
        ("install", "put the plug-in into GIMP's profiles, and ask GIMP whether it found it"),
        ("uninstall", "remove all that install wrote, and nothing else"),
        ("check", "say whether plug-in, worker and GIMP find each other, and what to do if not"),
    ):
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        action.add_argument(
            "--profile", type=Path, help="a folder like ~/.config/GIMP/3.0 (default: all found)"
        )
        if name == "install":
            _add_model(action)
            action.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
        if name != "uninstall":
            action.add_argument(
                "--gimp", metavar="PROGRAM", help="GIMP to ask (default: the one on the PATH)"
            )
        action.set_defaults(run=_gimp, action=name)


def _gimp(options: argparse.Namespace) -> int:
    from drht_plugin.gimp_install import run

    return run(options)


def _add_worker(commands: Any) -> None:
    parser = commands.add_parser(
        "worker",
        help="serve another program over stdin and stdout",
        description="Serve one client, such as the GIMP plug-in, over stdin and stdout, with the "
        "protocol of docs/worker-protocol.md. Ends at once when stdin ends.",
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument(
        "--max-bytes",
        type=int,
        help="most that a picture and its result may take (default: what there is room for)",
    )
    _add_model(parser)
    parser.set_defaults(run=_worker)


def _worker(options: argparse.Namespace) -> int:
    from drht_plugin.worker.process import serve

    serve(
        model=options.model,
        device=options.device,
        threads=options.threads,
        most=options.max_bytes,
    )


if __name__ == "__main__":
    sys.exit(main())
