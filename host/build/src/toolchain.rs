//! The compiler for guests: which of the ways to have one works on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{BuildError, Workshop, command};

const WASIP2: &str = "wasm32-wasip2";
const WASIP1: &str = "wasm32-wasip1";
const BARE: &str = "wasm32-unknown-unknown";

/// Room for the C library's allocator in the memory of a fresh instance: growing it costs system calls in every call.
const HEAP_BYTES: u32 = 64 * 1024;

/// The download is some 20 MB; a server that cannot be reached answers much sooner.
const DOWNLOAD: Duration = Duration::from_secs(120);

const LIBRARY_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const WASI_LIBC: &str = "/usr/lib/wasm32-wasi";

/// A way to a compiler, to force one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The target of the Rust tool chain in use, added by rustup when it is missing.
    Rustup,
    /// Debian's compiler with the source of its standard library.
    Debian,
}

impl std::str::FromStr for Choice {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "rustup" => Ok(Self::Rustup),
            "debian" => Ok(Self::Debian),
            other => Err(format!("a tool chain for Rust is `rustup` or `debian`, not `{other}`")),
        }
    }
}

/// A compiler for guests.
pub enum Toolchain {
    /// The standard library for WASI is there; `bare` tells whether also the one without WASI is.
    Installed { bare: bool },
    /// The standard library is built from source.
    Debian { linker: PathBuf },
}

impl Toolchain {
    /// Finds or makes one for a crate in `folder`, and says which and why.
    pub fn choose(workshop: &Workshop<'_>, folder: &Path) -> Result<Self, BuildError> {
        let rustc = Rustc::ask(folder)?;
        let forced = workshop.choice;
        if forced != Some(Choice::Debian) {
            if rustc.has(WASIP2) {
                workshop.say(&format!("Rust: the target {WASIP2} is installed"));
                return Ok(Self::Installed { bare: rustc.has(BARE) });
            }
            workshop.say(&format!("Rust: the target {WASIP2} is missing, asking rustup for it"));
            // It may say that all is well because it knows of a target whose files are gone.
            let added = add_target(folder).and_then(|()| match rustc.has(WASIP2) {
                true => Ok(()),
                false => {
                    Err(BuildError::failed(format!("it says that {WASIP2} is there, and it is not"), ""))
                }
            });
            match added {
                Ok(()) => {
                    workshop.say(&format!("Rust: rustup has added {WASIP2}"));
                    return Ok(Self::Installed { bare: rustc.has(BARE) });
                }
                Err(error) if forced.is_some() || !cfg!(target_os = "linux") => {
                    return Err(BuildError::missing(
                        format!(
                            "a plugin in Rust needs the target {WASIP2}, and rustup cannot add it ({error})"
                        ),
                        format!("run `rustup target add {WASIP2}` while online"),
                    ));
                }
                Err(error) => workshop.say(&format!("Rust: rustup cannot ({error})")),
            }
        }
        let toolchain = Self::debian(&rustc, workshop)?;
        workshop.say("Rust: building with Debian's rustc and the source of its standard library");
        Ok(toolchain)
    }

    fn debian(rustc: &Rustc, workshop: &Workshop<'_>) -> Result<Self, BuildError> {
        let why = format!(
            "a plugin in Rust needs the target {WASIP2} (`rustup target add {WASIP2}`), or Debian's compiler"
        );
        if !cfg!(target_os = "linux") {
            return Err(BuildError::missing(why, "there is no Debian on this system"));
        }
        let mut missing = Vec::new();
        if !Path::new(DEBIAN_RUSTC).exists() {
            missing.push("rustc-web");
        }
        if !Path::new(LIBRARY_SOURCE).exists() {
            missing.push("rust-web-src");
        }
        if !Path::new(WASI_LIBC).join("libc.a").exists() {
            missing.push("wasi-libc");
        }
        let linker = rustc.linker();
        if linker.is_none() {
            missing.push("lld");
        }
        if !missing.is_empty() {
            workshop.need(&why, &missing)?;
        }
        if !Path::new(LIBRARY_SOURCE).exists() {
            let fix = format!("rust-web-src is installed, but {LIBRARY_SOURCE} is not there");
            return Err(BuildError::missing(why, fix));
        }
        Ok(Self::Debian { linker: linker.unwrap_or_else(|| "wasm-ld".into()) })
    }

    /// Why the first build takes longer, if it does.
    pub fn remark(&self) -> &'static str {
        match self {
            Self::Installed { .. } => "",
            Self::Debian { .. } => "; the first time builds the standard library, about a minute",
        }
    }

    /// The name of the target for a crate that uses `wasi` or does not.
    pub fn target(&self, wasi: bool) -> &'static str {
        match self {
            Self::Installed { bare } if wasi || !bare => WASIP2,
            Self::Debian { .. } if wasi => WASIP1,
            Self::Installed { .. } | Self::Debian { .. } => BARE,
        }
    }

    /// Whether a module for `target` calls WASI preview 1.
    pub fn needs_adapter(target: &str) -> bool {
        target == WASIP1
    }

    /// Adds to a `cargo build` or `cargo rustc` what this compiler needs for `target`; all that is made goes below
    /// `folder`.
    ///
    /// `stack_bytes` is for every crate that is linked. A command that names the stack of one crate itself gives none:
    /// the linker takes the last of two, which is the one from the environment.
    pub fn prepare(&self, cargo: &mut Command, target: &str, stack_bytes: Option<u32>, folder: &Path) {
        let mut flags: Vec<String> = stack_bytes.map(stack_flag).into_iter().collect();
        flags.push("-Clink-arg=--stack-first".to_owned());
        if target == WASIP2 {
            flags.push(format!("-Clink-arg=--initial-heap={HEAP_BYTES}"));
        }
        cargo.args(["--profile", "guest", "--target", target, "--target-dir"]).arg(folder);
        if let Self::Debian { linker } = self {
            cargo.arg("-Zbuild-std=std,panic_abort");
            cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
            let name = target.to_uppercase().replace('-', "_");
            cargo.env(format!("CARGO_TARGET_{name}_LINKER"), linker);
            if target == WASIP1 {
                flags.push("-Clink-self-contained=no".to_owned());
                flags.push(format!("-L{WASI_LIBC}"));
            }
        }
        // The encoded form takes spaces, and beats what the caller's environment says of the host.
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    }
}

/// Tells the compiler how large the stack of a guest is.
pub fn stack_flag(bytes: u32) -> String {
    format!("-Clink-arg=-zstack-size={bytes}")
}

/// What the compiler on the path says of itself.
struct Rustc {
    sysroot: PathBuf,
    host: String,
}

impl Rustc {
    /// The one that is in use in `folder`, which may name its own.
    fn ask(folder: &Path) -> Result<Self, BuildError> {
        let ask = |arguments: &[&str]| {
            command::quietly("rustc", Command::new("rustc").current_dir(folder).args(arguments))
        };
        let sysroot = ask(&["--print", "sysroot"])?;
        let version = ask(&["-vV"])?;
        let host =
            version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().to_owned();
        Ok(Self { sysroot: sysroot.trim().into(), host })
    }

    /// Whether the standard library for `target` is there.
    fn has(&self, target: &str) -> bool {
        let folder = self.sysroot.join("lib/rustlib").join(target).join("lib");
        std::fs::read_dir(folder).is_ok_and(|mut files| {
            files.any(|file| file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with("libstd-")))
        })
    }

    /// A linker for WebAssembly: the tool chain's own, else one on the path.
    fn linker(&self) -> Option<PathBuf> {
        let own = self.sysroot.join("lib/rustlib").join(&self.host).join("bin/rust-lld");
        if own.exists() {
            return Some(own);
        }
        ["rust-lld", "wasm-ld"].into_iter().find(|name| command::has(name)).map(PathBuf::from)
    }
}

fn add_target(folder: &Path) -> Result<(), BuildError> {
    if !command::has("rustup") {
        return Err(BuildError::failed("rustup is not installed", ""));
    }
    let mut rustup = Command::new("rustup");
    // One try: where there is no network, the next way should not wait for it.
    rustup.current_dir(folder).args(["target", "add", WASIP2]).env("RUSTUP_MAX_RETRIES", "1");
    command::within(DOWNLOAD, "rustup target add", &mut rustup)
}
