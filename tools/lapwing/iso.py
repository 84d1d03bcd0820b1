"""Boot images: a GRUB ISO for BIOS and UEFI, from a CD or, copied as it is, from a USB stick."""

import os
import re
import shutil
import subprocess
import tempfile

from .base import EXIT_USAGE, HYPERVISOR, LapwingError, version
from .output import reason

# What grub.cfg and the firmware's disks need; GRUB's other modules, fonts and translations would only add size.
GRUB_MODULES = ("normal iso9660 part_msdos part_gpt fat multiboot multiboot2 boot echo test serial terminal "
                "all_video video video_fb gfxterm acpi reboot halt sleep")

CONFIG_MODULE = "lapwing.conf"  # the boot module that is the config file


def grub_script(commands):
    """A grub.cfg that boots at once. Messages go to the screen and, where there is one, to the serial port."""
    lines = ["set timeout=0", "set pager=0",
             "if serial --unit=0 --speed=115200; then terminal_output console serial; fi",
             "menuentry Lapwing {", *("    " + command for command in commands), "}"]
    return "\n".join(lines) + "\n"


def make(out, commands, files, grub_modules=""):
    """Write an ISO: files as {path in the ISO: path on the host}, commands as GRUB script, which may need more modules."""
    folder = os.path.dirname(os.path.abspath(out))
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK) or os.path.isdir(out):
        raise LapwingError(f"cannot write {out}: give the name of a file in a folder that you may write to", EXIT_USAGE)
    tree = tempfile.mkdtemp(prefix="lapwing-iso-")
    try:
        for inside, outside in files.items():
            target = os.path.join(tree, inside.lstrip("/"))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(outside, target)
        os.makedirs(os.path.join(tree, "boot", "grub"), exist_ok=True)
        with open(os.path.join(tree, "boot", "grub", "grub.cfg"), "w", encoding="utf-8",
                  errors="surrogateescape") as script:
            script.write(grub_script(commands))
        _mkrescue(out, tree, grub_modules)
    except OSError as error:
        raise LapwingError(f"cannot make {out} in {tree}: {reason(error)}") from error
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def volume_name():
    """What a file manager shows, in the letters that ISO 9660 knows: such as LAPWING_0_1_0."""
    return "LAPWING_" + re.sub(r"[^A-Z0-9]", "_", version().upper())


def _mkrescue(out, tree, grub_modules):
    command = ["grub-mkrescue", "--output", out, f"--install-modules={GRUB_MODULES} {grub_modules}", "--locales=", "--fonts=",
               "--themes=", tree, "--", "-volid", volume_name()]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except FileNotFoundError as error:
        raise LapwingError("grub-mkrescue is not installed; run tools/setup") from error
    if done.returncode or not os.path.exists(out):
        raise LapwingError(f"grub-mkrescue could not write {out}: {_complaint(done.stdout.decode(errors='replace'))}")


def _complaint(text):
    """What grub-mkrescue, or xorriso under it, complained of first, among much else."""
    found = re.search(r" : (?:SORRY|FAILURE|FATAL) : (.*)", text) or re.search(r"error: (.*)", text)
    return found[1] if found else "it failed"


def for_config(out, config, kernel_args="", hypervisor=HYPERVISOR):
    """Write the ISO that boots the hypervisor with a config and its files, each under the name that the config says."""
    commands = ["multiboot2 /boot/lapwing.elf " + kernel_args,
                f"module2 --nounzip /boot/{CONFIG_MODULE} {CONFIG_MODULE}"]
    files = {"/boot/lapwing.elf": hypervisor, "/boot/" + CONFIG_MODULE: config.path}
    names = {}
    for number, (path, name) in enumerate(config.files):
        if names.setdefault(name, path) != path:
            continue
        inside = f"/boot/module{number}"
        files[inside] = path
        # Single quotes hold everything but themselves, which the config's parser lets into no name.
        commands.append(f"module2 --nounzip {inside} '{name}'")
    make(out, commands, files)
