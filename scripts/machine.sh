# Makes a machine ready and builds Halcyon there; sourced by ./setup and ./check.
#
# Every step looks first at what is there, so that all of it can be run again,
# and again after it was interrupted.

packages=(
  python3.11 python3.11-venv ca-certificates ninja-build
  llvm-22-dev libmlir-22-dev mlir-22-tools llvm-22-tools clang-22 lld-22
  gcc libstdc++-12-dev libc6-dev
  nlohmann-json3-dev libbenchmark-dev libjpeg62-turbo-dev libpng-dev libprotobuf-dev protobuf-compiler libsqlite3-dev libvulkan-dev zlib1g-dev
  libc6-dev-arm64-cross libc6-dev-armhf-cross libc6-dev-riscv64-cross
  libstdc++-12-dev-arm64-cross libstdc++-12-dev-armhf-cross libstdc++-12-dev-riscv64-cross
)
# What the tests alone need: processors and devices that this machine lacks.
test_packages=(pkg-config qemu-user pocl-opencl-icd ocl-icd-libopencl1 spirv-tools
  libvulkan1 mesa-vulkan-drivers vulkan-validationlayers)
# Sanitizers and the fuzzer's main program; what compiles HLSL.
slow_packages=(libclang-rt-22-dev glslang-tools)
python=/usr/bin/python3.11
venv=$root/.venv
build=$root/build
logs=$build/logs

# fail WHAT: one line, and the end.
fail() {
  [ -z "${step_open:-}" ] || echo "failed"
  echo "${0##*/}: $1" >&2
  exit 1
}

# step NAME, then done_step [RESULT]: one line on the terminal.
step() {
  printf '%-18s' "$1"
  step_open=1
  step_start=$EPOCHREALTIME
}
seconds_since() {
  local start=${1/[.,]/} now=${EPOCHREALTIME/[.,]/}
  printf '%d.%d s' $(((now - start) / 1000000)) $(((now - start) / 100000 % 10))
}
done_step() {
  echo "${1:-$(seconds_since "$step_start")}"
  step_open=
}

# logged LOG WHAT COMMAND...: runs it with its output in build/logs/LOG.log. On
# failure shows the log's end, or one line where the network or disk is the reason.
logged() {
  local log=$logs/$1.log what=$2
  shift 2
  "$@" </dev/null >"$log" 2>&1 && return
  local where="the log is ${log#"$root"/}"
  if grep -qi 'no space left on device' "$log"; then
    fail "the disk is full; $where"
  elif [ "${log##*/}" != build.log ] && grep -qiE \
    'Temporary failure resolving|Could not (resolve|connect)|Failed to establish|Network is unreachable|Name or service not known|No matching distribution' "$log"; then
    fail "the package registries can't be reached ($what); $where"
  elif grep -q 'Could not get lock' "$log"; then
    fail "another program is installing packages: try again when it has ended"
  fi
  echo "failed"
  step_open=
  # The first errors, or where it stopped.
  { grep -m 8 -A 4 -E '(fatal |CMake )?[Ee]rror[: ]' "$log" || tail -n 25 "$log"; } | head -n 40 >&2
  fail "$what failed; $where"
}

as_root() {
  if [ "$EUID" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=120 "$@"
}

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

check_space() { # check_space FOLDER GIGABYTES
  local free
  free=$(df -Pk "$1" | awk 'NR == 2 { print int($4 / 1048576) }')
  [ "$free" -ge "$2" ] || fail "$1 has $free GB of free space; $2 GB are needed"
}

check_machine() {
  [ "$(uname -sm)" = "Linux x86_64" ] || fail "Halcyon needs Linux on x86-64; this is $(uname -sm)"
  command -v dpkg-query >/dev/null || fail "Halcyon is built on Debian 12, and this system has no dpkg"
  [ -w "$root" ] || fail "no permission to write in $root"
  mkdir -p "$logs" || fail "no permission to write in $build"
  check_space "$root" 2
  exec 9>"$build/.lock"
  flock -n 9 || fail "another setup or check is at work in this folder"
}

install_packages() {
  step "Debian packages"
  local missing
  mapfile -t missing < <(missing_packages)
  if [ ${#missing[@]} = 0 ]; then
    done_step "there"
    return
  fi
  local release
  release=$(. /etc/os-release && echo "${ID:-} ${VERSION_ID:-}")
  [ "$release" = "debian 12" ] || fail "packages are installed on Debian 12 alone, this is $release; missing: ${missing[*]}"
  if [ "$EUID" != 0 ]; then
    command -v sudo >/dev/null || fail "needs root or sudo to install ${missing[*]}"
    if [ -t 0 ]; then sudo -v; else sudo -n true 2>/dev/null; fi || fail "sudo refuses; needs root to install ${missing[*]}"
  fi
  check_space /usr 4
  # What an interrupted installation left.
  [ -z "$(dpkg --audit)" ] || logged apt "dpkg --configure" as_root env DEBIAN_FRONTEND=noninteractive dpkg --configure -a
  logged apt "apt-get update" apt update -o APT::Update::Error-Mode=any
  logged apt "apt-get install" apt --no-install-recommends --fix-broken install "${missing[@]}"
  done_step
}

venv_works() {
  cmp -s "$root/scripts/requirements.txt" "$venv/requirements.txt" &&
    "$venv/bin/cmake" --version >/dev/null 2>&1 && "$venv/bin/lit" --version >/dev/null 2>&1
}

install_python_packages() {
  step "Python packages"
  if venv_works; then
    done_step "there"
    return
  fi
  # A folder that was moved, or half made, has scripts that lead nowhere.
  "$venv/bin/pip" --version >/dev/null 2>&1 || rm -rf "$venv"
  [ -d "$venv" ] || logged pip "python3.11 -m venv" "$python" -m venv "$venv"
  logged pip "pip install" "$venv/bin/pip" install --no-deps --disable-pip-version-check \
    --no-input -r "$root/scripts/requirements.txt"
  cp "$root/scripts/requirements.txt" "$venv/"
  done_step
}

configure() {
  (cd "$root" && "$venv/bin/cmake" --preset release "$@")
}

build_halcyon() {
  step "Build"
  # A cache that is of another place, or half written, is made anew.
  configure </dev/null >"$logs/configure.log" 2>&1 || logged configure "cmake" configure --fresh
  logged build "the build" "$venv/bin/cmake" --build "$build"
  done_step
}

prepare() {
  check_machine
  install_packages
  install_python_packages
  build_halcyon
}
