//! Plugins in C: the headers of the interface are generated, clang makes a module, and that becomes a component.

use std::path::{Path, PathBuf};
use std::process::Command;

use wit_bindgen_core::Files;

use crate::{BuildError, Project, Workshop, command, encode, files, wit};

/// Debian's compiler of the release, its linker, the C library for WASI, and what the compiler itself calls.
pub const PACKAGES: [&str; 4] = ["clang", "lld", "wasi-libc", "libclang-rt-dev-wasm32"];
/// The newest that is looked for beside a plain `clang`.
const NEWEST: u32 = 24;
const OLDEST: u32 = 14;
/// What Debian calls the library for WASI preview 1, as did older SDKs.
const TARGET: &str = "wasm32-wasi";
const TARGET_TODAY: &str = "wasm32-wasip1";
/// As for plugins in Rust: a small one keeps the memory of a fresh instance small.
const STACK_BYTES: u32 = 64 * 1024;

/// Builds the component of `project`: every `*.c` beside `plugin.toml` and in `src/`.
pub fn build(project: &Project, workshop: &Workshop<'_>) -> Result<Vec<u8>, BuildError> {
    let sources = sources(&project.folder)?;
    let bindings = project.target().join("bindings");
    let generated = generate(&project.wit(), project.world.as_deref(), &bindings)?;
    let compiler = Compiler::find(workshop)?;

    workshop.say(&format!("building {} with {}", names(&sources), compiler.program.display()));
    let module = project.target().join("module.wasm");
    let mut clang = compiler.command();
    clang.current_dir(&project.folder);
    clang.args(["-mexec-model=reactor", "-std=c17", "-Os", "-Wall", "-Wextra", "-Wno-unused-parameter"]);
    clang.args(["-Wl,--gc-sections", "-Wl,--strip-debug", "-Wl,--stack-first"]);
    clang.arg(format!("-Wl,-z,stack-size={STACK_BYTES}")).arg("-I").arg(&bindings).arg("-o").arg(&module);
    clang.args(&sources).args(&generated);
    command::shown("clang", &mut clang)?;
    encode(files::read(&module)?, true)
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let mut sources = Vec::new();
    for place in ["", "src"] {
        let entries = std::fs::read_dir(folder.join(place)).into_iter().flatten().flatten();
        let names = entries.map(|entry| Path::new(place).join(entry.file_name()));
        sources.extend(names.filter(|name| name.extension().is_some_and(|ending| ending == "c")));
    }
    sources.sort();
    if sources.is_empty() {
        return Err(BuildError::project(folder, "there is no *.c, here or in src/"));
    }
    Ok(sources)
}

fn names(sources: &[PathBuf]) -> String {
    sources.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
}

/// Writes header, glue and the description of the type of the component, and returns what has to be linked.
fn generate(wit: &Path, world: Option<&str>, to: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let (mut resolve, world) = wit::read(wit, world)?;
    let mut written = Files::default();
    wit_bindgen_c::Opts::default()
        .build()
        .generate(&mut resolve, world, &mut written)
        .map_err(|error| BuildError::project(wit, format!("{error:#}")))?;
    files::remove(to)?;
    let mut linked = Vec::new();
    for (name, content) in written.iter() {
        let path = to.join(name);
        files::write(&path, content)?;
        if !name.ends_with(".h") {
            linked.push(path);
        }
    }
    Ok(linked)
}

/// A clang for WASI, with everything that it needs.
struct Compiler {
    program: PathBuf,
    arguments: Vec<String>,
}

impl Compiler {
    /// The one of the WASI SDK in `WASI_SDK_PATH`, else `clang`, else the newest that has a number in its name.
    fn find(workshop: &Workshop<'_>) -> Result<Self, BuildError> {
        if let Some(sdk) = std::env::var_os("WASI_SDK_PATH").filter(|sdk| !sdk.is_empty()) {
            return Self::of_sdk(Path::new(&sdk));
        }
        if let Some(compiler) = Self::installed() {
            return Ok(compiler);
        }
        let why = "a plugin in C needs clang, its linker and a C library for WASI";
        if !cfg!(target_os = "linux") {
            return Err(BuildError::missing(
                why,
                "install the WASI SDK and name its folder in WASI_SDK_PATH",
            ));
        }
        workshop.need(why, &PACKAGES)?;
        Self::installed().ok_or_else(|| {
            BuildError::missing(
                why,
                format!("{} are installed, and do not work together", PACKAGES.join(" ")),
            )
        })
    }

    /// The compiler of a WASI SDK. One that is named and not there is said, and nothing else is taken in its place.
    fn of_sdk(sdk: &Path) -> Result<Self, BuildError> {
        let (program, sysroot) = (sdk.join("bin/clang"), sdk.join("share/wasi-sysroot"));
        let missing = |what: String| {
            let fix = "name the folder of a WASI SDK in it, which has bin/clang and share/wasi-sysroot, or unset it";
            BuildError::missing(format!("WASI_SDK_PATH is {}, and {what}", sdk.display()), fix)
        };
        if !program.with_extension(std::env::consts::EXE_EXTENSION).is_file() {
            return Err(missing(format!("{} is not there", program.display())));
        }
        // The newer name first: an SDK of today has the older one only as a link, if at all.
        let target = [TARGET_TODAY, TARGET].into_iter().find(|name| sysroot.join("lib").join(name).is_dir());
        let Some(target) = target else {
            return Err(missing(format!("{} has no library for WASI", sysroot.display())));
        };
        let compiler = Self::new(program, &sysroot, target);
        match compiler.is_whole() {
            true => Ok(compiler),
            false => Err(missing("its compiler finds no linker or no library".to_owned())),
        }
    }

    fn installed() -> Option<Self> {
        let numbered = (OLDEST..=NEWEST).rev().map(|number| format!("clang-{number}"));
        let names = std::iter::once("clang".to_owned()).chain(numbered);
        names.map(|name| Self::new(name, Path::new("/usr"), TARGET)).find(Self::is_whole)
    }

    fn new(program: impl Into<PathBuf>, sysroot: &Path, target: &str) -> Self {
        let sysroot = format!("--sysroot={}", sysroot.display());
        Self { program: program.into(), arguments: vec![format!("--target={target}"), sysroot] }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command
    }

    /// Whether compiler, linker, C library and the compiler's own library are all there.
    fn is_whole(&self) -> bool {
        let path = |question: &str| {
            let mut clang = self.command();
            clang.args(["--rtlib=compiler-rt", question]);
            command::quietly("clang", &mut clang).ok().map(|said| PathBuf::from(said.trim()))
        };
        let Some(library) = path("-print-libgcc-file-name") else { return false };
        let linker = path("-print-prog-name=wasm-ld");
        let has_linker = linker.is_some_and(|linker| {
            linker.is_absolute() && linker.is_file() || linker.to_str().is_some_and(command::has)
        });
        let start = path("-print-file-name=crt1-reactor.o");
        library.is_file() && has_linker && start.is_some_and(|start| start.is_file())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_header_and_the_glue_of_an_interface_are_generated() {
        let folder = tempfile::tempdir().unwrap();
        let wit = folder.path().join("wit");
        files::write(
            &wit.join("a.wit"),
            b"package my:a; interface words { count: func(text: string) -> u32; } world plugin { export words; }",
        )
        .unwrap();

        let linked = generate(&wit, None, &folder.path().join("to")).unwrap();

        let header = files::read_text(&folder.path().join("to/plugin.h")).unwrap();
        assert!(header.contains("exports_my_a_words_count"), "{header}");
        let names: Vec<_> = linked.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["plugin.c", "plugin_component_type.o"]);
    }

    #[test]
    fn an_sdk_that_is_named_and_not_whole_is_said_with_what_is_missing() {
        let sdk = tempfile::tempdir().unwrap();
        let said = || match Compiler::of_sdk(sdk.path()) {
            Err(error) => (error.code(), error.to_string()),
            Ok(_) => panic!("it is not whole"),
        };

        let (code, no_compiler) = said();
        let program = sdk.path().join("bin/clang").with_extension(std::env::consts::EXE_EXTENSION);
        files::write(&program, b"no program").unwrap();
        let (_, no_library) = said();
        files::write(&sdk.path().join("share/wasi-sysroot/lib/wasm32-wasip1/libc.a"), b"").unwrap();
        let (_, broken) = said();

        assert_eq!(code, "BUILD_TOOL_MISSING");
        assert!(
            no_compiler.contains("WASI_SDK_PATH is ") && no_compiler.contains("clang is not there"),
            "{no_compiler}"
        );
        assert!(no_library.contains("wasi-sysroot has no library for WASI"), "{no_library}");
        assert!(broken.contains("finds no linker or no library") && broken.contains("unset it"), "{broken}");
    }

    #[test]
    fn sources_lie_beside_the_manifest_or_in_src() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["b.c", "src/a.c", "src/a.h", "tests/c.c"] {
            files::write(&folder.path().join(file), b"").unwrap();
        }

        let found = sources(folder.path()).unwrap();

        assert_eq!(names(&found), "b.c src/a.c");
        assert!(sources(&folder.path().join("tests")).is_ok());
        assert!(sources(&folder.path().join("wit")).unwrap_err().to_string().contains("no *.c"));
    }
}
