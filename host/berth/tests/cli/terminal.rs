//! What a person sees at a terminal: tables that fit, colours that may be switched off, and what is going on.

use unicode_width::UnicodeWidthStr;

use crate::packages::{key, pack};
use crate::registry::Registry;
use crate::support::{Host, Options, Output, lines, on_terminal, plugin};

/// A colour or another way to stand out.
fn is_coloured(text: &str) -> bool {
    let mut codes = text.split("\x1b[").skip(1);
    codes.any(|rest| {
        rest.find(|c: char| c.is_ascii_alphabetic()).is_some_and(|at| rest.as_bytes()[at] == b'm' && at > 0)
    })
}

fn at_terminal(host: &Host, words: &[&str], columns: u16) -> Output {
    on_terminal(&host.command(words), columns, "")
}

#[test]
fn what_is_listed_and_shown_fits_the_terminal_and_is_whole_elsewhere() {
    let host = Host::start(Options::bundled());
    let folder = host.scratch().join("好的-my-notes-and-those-of-others");
    std::fs::create_dir(&folder).unwrap();
    let reason = "for the notes 笔记 that I keep in a folder with a long name, and for nothing else";
    let words =
        ["plugin", "grant", "files", "files", "--folder", folder.to_str().unwrap(), "--reason", reason];
    host.cli(&words).ok();
    host.cli(&["plugin", "call", "files_list"]).ok();
    // Something for the audit, whatever it comes to.
    host.cli(&["plugin", "call", "files_write", "{\"path\": \"a\", \"content\": \"b\"}"]);

    for words in [
        &["plugin", "list"][..],
        &["plugin", "show", "files"],
        &["plugin", "generations", "files"],
        &["plugin", "audit", "files"],
        &["doctor"],
    ] {
        // Headings of a few words are as long as they are.
        let narrow = if words.contains(&"show") { 40 } else { 24 };
        for columns in [narrow, 50, 66, 100, 200] {
            let shown = at_terminal(&host, words, columns);

            assert_eq!(shown.code, 0, "{}", shown.out);
            for line in lines(&shown) {
                // A command stays in one line, so that it can be copied.
                let fits = line.width() <= usize::from(columns) || line.starts_with("    berth ");
                assert!(fits, "{words:?} at {columns}: {} {line:?}\n{}", line.width(), shown.out);
            }
        }
        let piped = host.cli(words).ok();
        assert!(!piped.contains('…') && !piped.contains('\x1b'), "{words:?}: {piped}");
    }
    // Nothing that tells one grant from another is cut, however narrow it is.
    let shown = lines(&at_terminal(&host, &["plugin", "show", "files"], 40));
    let ids: Vec<_> = shown.iter().filter(|line| line.starts_with("  grant_")).collect();
    let whole = "  grant_".len() + 32;
    assert!(!ids.is_empty() && ids.iter().all(|line| line.len() == whole), "{shown:#?}");
    let piped = host.cli(&["plugin", "show", "files"]).ok();
    assert!(piped.contains(reason) && piped.contains(folder.to_str().unwrap()), "{piped}");
}

#[test]
fn what_reaches_further_stands_out_unless_colours_are_not_wanted() {
    let host = Host::start(Options::default());
    host.cli(&["plugin", "install", plugin("echo").to_str().unwrap()]).ok();
    let wider = host.scratch().join("echo");
    std::fs::create_dir(&wider).unwrap();
    for entry in std::fs::read_dir(plugin("echo")).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), wider.join(entry.file_name())).unwrap();
        }
    }
    let manifest = std::fs::read_to_string(wider.join("plugin.toml")).unwrap();
    let manifest = manifest.replacen("0.1.0", "0.2.0", 1);
    let more = "\n[[capability]]\nname = \"http\"\nrequired = false\nreason = \"to ask a server\"\n\
                scope = { hosts = [\"https://a.example\"] }\n";
    std::fs::write(wider.join("plugin.toml"), manifest + more).unwrap();
    host.cli(&["plugin", "install", wider.to_str().unwrap()]).ok();
    let words = "new: http (hosts https://a.example): to ask a server";

    let coloured = at_terminal(&host, &["plugin", "show", "echo"], 100);
    let plain = on_terminal(host.command(&["plugin", "show", "echo"]).env("NO_COLOR", "1"), 100, "");
    let dumb = on_terminal(host.command(&["plugin", "show", "echo"]).env("TERM", "dumb"), 100, "");
    let piped = host.cli(&["plugin", "show", "echo"]).ok();

    assert!(coloured.out.contains(&format!("\x1b[33m  {words}\x1b[0m")), "{}", coloured.out);
    for shown in [&plain.out, &dumb.out, &piped] {
        assert!(shown.contains(&format!("  {words}")), "{shown}");
        assert!(!is_coloured(shown), "{shown}");
    }
    assert_eq!(lines(&coloured), lines(&plain));
}

#[test]
fn what_takes_a_while_moves_on_a_terminal_and_nowhere_else() {
    let host = Host::start(Options::default());
    let registry = Registry::start();
    key(&host, "acme.key");
    let file = pack(&host, "0.1.0", &["--key", "acme.key"]);
    let place = format!("{}/acme/clock:0.1.0", registry.address);
    host.cli(&["plugin", "push", &file, &place]).ok();
    let echo = plugin("echo").to_str().unwrap().to_owned();
    let from_registry = format!("oci://{place}");

    for (words, moving) in [
        (&["plugin", "pull", &place, "--out", "back.berth"][..], &["pulling", "] "][..]),
        (&["plugin", "install", &echo], &["installing"]),
        (&["plugin", "install", &from_registry], &["pulling", "installing"]),
    ] {
        let piped = host.cli(words);
        let shown = at_terminal(&host, words, 100);
        let plain = on_terminal(host.command(words).env("NO_COLOR", "1"), 100, "");

        for word in moving {
            assert!(shown.out.contains(word) && plain.out.contains(word), "{word}: {}", shown.out);
            assert!(!piped.out.contains(word) && !piped.err.contains(word), "{word}: {}", piped.err);
        }
        assert!(!piped.err.contains('\x1b') && !piped.err.contains('\r'), "{}", piped.err);
        assert!(!is_coloured(&plain.out), "{}", plain.out);
        // What moved is gone at the end.
        assert!(shown.out.contains("\x1b[2K"), "{:?}", shown.out);
        assert_eq!((piped.code, shown.code), (0, 0), "{}", shown.out);
    }
}
