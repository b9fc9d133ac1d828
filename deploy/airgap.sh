#!/bin/sh
# Makes a folder to carry to machines that have no network: the service and all it needs as wheels, their
# checksums, and install.sh, which asks no index.
#     deploy/airgap.sh FOLDER [EXTRAS [OPTIONS OF PIP DOWNLOAD]]
#     deploy/airgap.sh wheels postgres,redis,sweeps
#     deploy/airgap.sh wheels postgres --platform manylinux2014_aarch64 --python-version 3.12 --only-binary :all:
# Without options it is for this machine's kind of processor and its version of Python (PYTHON names another).
set -eu

[ $# -ge 1 ] || { sed -n '2,7s/^# //p' "$0" >&2; exit 2; }
source=$(cd "$(dirname "$0")/.." && pwd)
folder=$1
extras=${2:-postgres,redis}
shift
[ $# -eq 0 ] || shift

rm -rf "$folder/wheels"
mkdir -p "$folder/wheels"
folder=$(cd "$folder" && pwd)
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT

"${PYTHON:-python3}" -m venv "$tools"
pip="$tools/bin/python -m pip --disable-pip-version-check --quiet"
$pip wheel --no-deps --wheel-dir "$folder/wheels" "$source"
own=$(echo "$folder"/wheels/llm_estimate-*.whl)
$pip download --dest "$folder/wheels" "$@" "${own}[${extras}]"

(cd "$folder" && sha256sum wheels/*.whl >SHA256SUMS)
cat >"$folder/install.sh" <<EOF_INSTALL
#!/bin/sh
# Installs the service without any network: install.sh [FOLDER OF THE NEW ENVIRONMENT]
set -eu
here=\$(cd "\$(dirname "\$0")" && pwd)
target=\${1:-llm-estimate}
(cd "\$here" && sha256sum --check --quiet SHA256SUMS)
"\${PYTHON:-python3}" -m venv "\$target"
"\$target/bin/python" -m pip install --disable-pip-version-check --quiet \\
    --no-index --find-links "\$here/wheels" 'llm-estimate[$extras]'
echo "Installed: \$target/bin/llm-estimate serve"
EOF_INSTALL
chmod +x "$folder/install.sh"
echo "$(find "$folder/wheels" -name '*.whl' | wc -l) wheels, $(du -sh "$folder" | cut -f1): carry $folder over and run install.sh there"
