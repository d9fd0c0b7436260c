//! Beyond the granted folders: `/rw`, which may be written, and `/ro`, which may not.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use berth_plugin::{ToolError, Value, json};

pub fn attack(name: &str, input: &Value) -> Option<Result<Value, ToolError>> {
    let path = input["path"].as_str().unwrap_or_default();
    let done = match name {
        "read" => read(path),
        "list" => fs::read_dir(path).map(|entries| json!({ "entries": entries.count() })),
        "stat" => fs::metadata(path).map(|found| json!({ "bytes": found.len() })),
        "write" => fs::write(path, "owned").map(|()| json!("written")),
        "append" => OpenOptions::new()
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(b"owned"))
            .map(|()| json!("written")),
        "truncate" => OpenOptions::new().write(true).truncate(true).open(path).map(|_| json!("truncated")),
        "resize" => File::open(path).and_then(|file| file.set_len(0)).map(|()| json!("resized")),
        "set_times" => File::open(path).and_then(|file| {
            let later = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
            file.set_times(FileTimes::new().set_accessed(later).set_modified(later)).map(|()| json!("set"))
        }),
        "make_folder" => fs::create_dir(path).map(|()| json!("made")),
        "remove" => fs::remove_file(path).map(|()| json!("removed")),
        "remove_folder" => fs::remove_dir(path).map(|()| json!("removed")),
        "remove_all" => fs::remove_dir_all(path).map(|()| json!("removed")),
        "read_link" => fs::read_link(path).map(|to| json!(to.to_string_lossy())),
        "link" => symlink(path, "/rw/planted").and_then(|()| {
            let then = input["then"].as_str().unwrap_or("/rw/planted");
            let read = read(then);
            fs::remove_file("/rw/planted")?;
            read
        }),
        "hard_link" => fs::hard_link(path, "/rw/copy").and_then(|()| read("/rw/copy")),
        "hard_link_and_write" => fs::hard_link(path, "/rw/copy")
            .and_then(|()| fs::write("/rw/copy", "owned"))
            .map(|()| json!("written")),
        "rename" => {
            let to = input["to"].as_str().unwrap_or_default();
            fs::rename(path, to).map(|()| json!("renamed"))
        }
        "copy" => fs::copy(path, "/rw/copy").map(|bytes| json!({ "bytes": bytes })),
        "many_files" => until_refused(|made| File::create(format!("/rw/many-{made}")).map(drop)),
        "many_folders" => until_refused(|made| fs::create_dir(format!("/rw/folder-{made}"))),
        "many_links" => until_refused(|made| symlink("mine.txt", &format!("/rw/link-{made}"))),
        "many_open" => {
            let mut open = Vec::new();
            until_refused(|_| File::open("/rw/mine.txt").map(|file| open.push(file)))
        }
        "deep_folders" => {
            let mut path = "/rw".to_owned();
            until_refused(|_| {
                path.push_str("/d");
                fs::create_dir(&path)
            })
        }
        "fill" => {
            let block = vec![0x5a_u8; 256 << 10];
            File::create("/rw/fill").and_then(|mut file| until_refused(|_| file.write_all(&block)))
        }
        "fill_again" => {
            let block = vec![0x5a_u8; 256 << 10];
            until_refused(|_| fs::write("/rw/again", &block))
        }
        "grow_file" => {
            File::create("/rw/grown").and_then(|file| file.set_len(1 << 50)).map(|()| json!("grown"))
        }
        "read_everything" => File::open(path).and_then(|mut file| {
            let mut all = Vec::new();
            file.read_to_end(&mut all).map(|bytes| json!({ "bytes": bytes }))
        }),
        _ => return None,
    };
    Some(Ok(done.unwrap_or_else(|error| json!({ "error": said(&error) }))))
}

fn read(path: impl AsRef<Path>) -> io::Result<Value> {
    fs::read(path).map(|bytes| json!({ "read": String::from_utf8_lossy(&bytes) }))
}

/// Does it again and again, and tells how often it was done and what ended it.
fn until_refused(mut again: impl FnMut(u64) -> io::Result<()>) -> io::Result<Value> {
    let mut done = 0;
    loop {
        match again(done) {
            Ok(()) => done += 1,
            Err(error) => return Ok(json!({ "done": done, "error": said(&error) })),
        }
    }
}

fn said(error: &io::Error) -> String {
    format!("{:?}", error.kind())
}

/// The library has it for other systems only.
#[cfg(target_os = "wasi")]
#[expect(unsafe_code, reason = "a function of the C library")]
fn symlink(target: &str, path: &str) -> io::Result<()> {
    use std::ffi::{CString, c_char, c_int};

    unsafe extern "C" {
        fn symlink(target: *const c_char, path: *const c_char) -> c_int;
    }
    let (target, path) = (CString::new(target)?, CString::new(path)?);
    // SAFETY: both are texts with a zero at their end, which live until the function returns.
    match unsafe { symlink(target.as_ptr(), path.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(not(target_os = "wasi"))]
fn symlink(_: &str, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
