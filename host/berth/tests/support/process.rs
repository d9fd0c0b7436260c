//! A process whose output is read as it comes.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use super::Output;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What has been heard of one stream.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Heard {
    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

#[derive(Clone, Default)]
struct Stream(Arc<(Mutex<Heard>, Condvar)>);

impl Stream {
    fn read(&self, source: impl Read + Send + 'static) -> JoinHandle<()> {
        let stream = self.clone();
        std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            loop {
                let piece = source.fill_buf().unwrap_or_default();
                let count = piece.len();
                stream.lock().bytes.extend_from_slice(piece);
                source.consume(count);
                if count == 0 {
                    stream.lock().is_over = true;
                }
                stream.0.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.0.lock().unwrap()
    }

    /// Waits until `found` finds something, or the stream ends.
    fn wait<T>(&self, found: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut heard = self.lock();
        loop {
            if let Some(value) = found(&heard.text()) {
                return Some(value);
            }
            if heard.is_over {
                return None;
            }
            let (next, timeout) = self.0.1.wait_timeout(heard, PATIENCE).unwrap();
            assert!(!timeout.timed_out(), "nothing more came than: {}", next.text());
            heard = next;
        }
    }
}

/// A process with pipes on all its streams. Dropping it kills it.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    out: Stream,
    err: Stream,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (out, err) = (Stream::default(), Stream::default());
        let readers = vec![out.read(child.stdout.take().unwrap()), err.read(child.stderr.take().unwrap())];
        Self { input: child.stdin.take(), child, out, err, readers }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Types `text`.
    pub fn write(&mut self, text: &str) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).unwrap();
    }

    /// Ends the input, as Ctrl-D does.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Waits until a line of standard output that has `text` in it is complete. `None` when there was no such line.
    pub fn wait_for_line(&self, text: &str) -> Option<String> {
        self.out.wait(|heard| {
            let complete = &heard[..heard.rfind('\n').map_or(0, |end| end + 1)];
            complete.lines().find(|line| line.contains(text)).map(str::to_owned)
        })
    }

    /// Waits until `text` has been printed on standard output. Panics when the process ends without.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let found = self.out.wait(|heard| heard.contains(text).then_some(()));
        assert!(found.is_some(), "no `{text}` in: {}", self.output());
    }

    /// Waits until what has been printed on standard output is enough. Panics when the process ends without.
    #[track_caller]
    pub fn wait_until(&self, enough: impl Fn(&str) -> bool) {
        let found = self.out.wait(|heard| enough(heard).then_some(()));
        assert!(found.is_some(), "not enough: {}", self.output());
    }

    /// Waits until `text` has been said on standard error. Panics when the process ends without.
    #[track_caller]
    pub fn wait_for_error(&self, text: &str) {
        let found = self.err.wait(|heard| heard.contains(text).then_some(()));
        assert!(found.is_some(), "no `{text}` in: {}", self.output());
    }

    /// Waits until `text` has been said on standard error that often.
    #[track_caller]
    pub fn wait_for_errors(&self, text: &str, times: usize) {
        let found = self.err.wait(|heard| (heard.matches(text).count() >= times).then_some(()));
        assert!(found.is_some(), "not {times} times `{text}` in: {}", self.output());
    }

    /// What it has said so far, on both streams.
    pub fn output(&self) -> String {
        format!("{}{}", self.out.lock().text(), self.err.lock().text())
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
    }

    /// Ends the input and waits for the end.
    pub fn finish(mut self) -> Output {
        self.close_input();
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        Output {
            code: status.code().unwrap_or(-1),
            out: self.out.lock().text().into_owned(),
            err: self.err.lock().text().into_owned(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        let _reaped = self.child.wait();
    }
}
