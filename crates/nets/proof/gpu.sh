#!/usr/bin/env bash
# The tests that hold layers, optimisers and whole networks against PyTorch and torchvision, on the graphics card; on a machine without
# one, on Mesa's Vulkan in software (Debian: apt-get install mesa-vulkan-drivers vulkan-tools).
#
#     crates/nets/proof/gpu.sh              the card, or software where there is none
#     crates/nets/proof/gpu.sh software     software even where there is a card
#
# Builds with `--features gpu` into target/gpu, or where CARGO_TARGET_DIR says; the first time takes minutes. Tests run one after another:
# software shares the processor, and a card its memory.
set -euo pipefail
cd "$(dirname "$0")/../../.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target/gpu}"

software() {
    find /usr/share/vulkan/icd.d /etc/vulkan/icd.d -name 'lvp_icd*.json' 2>/dev/null | head -n 1
}

if [ "${1:-}" = software ]; then
    VK_DRIVER_FILES="$(software)"
    if [ -z "$VK_DRIVER_FILES" ]; then
        printf 'no Vulkan in software is installed (Debian: apt-get install mesa-vulkan-drivers)\n' >&2
        exit 1
    fi
    export VK_DRIVER_FILES VK_ICD_FILENAMES="$VK_DRIVER_FILES" # The second name is for loaders before 1.3.207.
fi
if command -v vulkaninfo >/dev/null; then
    vulkaninfo --summary 2>/dev/null | grep -E 'deviceName|driverInfo' || printf 'vulkaninfo sees no device\n' >&2
fi
cargo test --release -p cupola-nets --features gpu --lib -- --test-threads 1 parity layers::tests vision
