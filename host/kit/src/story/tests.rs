#![allow(clippy::unwrap_used)]

use super::*;

fn parse(text: &str) -> Result<Story, String> {
    Story::parse(Path::new("tests/a.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn a_story_has_cases_with_their_lines() {
    let story = parse(
        "# notes\n[[case]]\nname = \"one\"\nclock = 2026-05-01T00:00:00Z\n\n[[case.step]]\ncall = \"notes_add\"\n\
         args = { text = \"x\" }\n\n[[case]]\nname = \"two\"\n[[case.step]]\nadvance = \"1h 30m\"\n[[case.step]]\n\
         call = \"notes_list\"\nresult_json = '{\"a\": null}'\n",
    )
    .unwrap();

    assert_eq!(story.cases.len(), 2);
    assert_eq!((story.line(0), story.step_line(0, 0)), (2, 6));
    assert_eq!((story.line(1), story.step_line(1, 1)), (10, 14));
    assert_eq!(story.cases[0].clock.unwrap().0.to_string(), "2026-05-01T00:00:00.000000Z");
    assert_eq!(story.cases[1].step[0].get_ref().advance.unwrap().0.as_secs(), 5400);
    assert_eq!(story.cases[1].step[1].get_ref().wanted().unwrap(), serde_json::json!({ "a": null }));
}

#[test]
fn what_is_not_right_is_said_with_its_line() {
    let step = "[[case.step]]\ncall = \"x\"\n";
    for (text, said) in [
        ("", "it has no [[case]]"),
        ("[[case]]\nnaem = \"a\"\n", ":2: unknown field `naem`"),
        ("[[case]]\nname = \"a\"\n", "has no [[case.step]]"),
        ("[[case]]\nname = \"a\"\nwithout = [\"htpp\"]\n", "`htpp` is no capability"),
        ("[[case]]\nname = \"a\"\n[[case.step]]\ncal = \"x\"\n", ":4: unknown field `cal`"),
        (
            "[[case]]\nname = \"a\"\n[[case.step]]\ncall = \"x\"\nadvance = \"1s\"\n",
            ":3: a step has exactly one",
        ),
        ("[[case]]\nname = \"a\"\n[[case.step]]\nadvance = \"soon\"\n", ":4: `soon` is no span"),
        (
            "[[case]]\nname = \"a\"\n[[case.step]]\ncall = \"x\"\nmessage = \"y\"\n",
            "`message` belongs to `error`",
        ),
        ("[[case]]\nname = \"a\"\nclock = \"noon\"\n", ":3: `noon` is no time"),
        (
            "[[case]]\nname = \"a\"\n[[case.step]]\nevent = { attempt = 2 }\n",
            ":3: an `event` has exactly one of timer",
        ),
        (
            "[[case]]\nname = \"a\"\n[[case.step]]\nask = { health = true, typing = \"ada\" }\n",
            ":3: `ask` has exactly one of describe",
        ),
        (
            "[[case]]\nname = \"a\"\n[[case.step]]\nadvance = \"1s\"\ncancel_after = \"1s\"\n",
            ":3: `args` and `cancel_after` belong to `call`",
        ),
    ] {
        let refused = parse(text).unwrap_err();
        assert!(refused.starts_with("tests/a.toml") && refused.contains(said), "{refused}\nnot: {said}");
    }
    for (http, said) in [
        ("url = \"x\"", "`url` \"x\""),
        ("url = \"https://a.example/\"\nanswer = \"a\"\nanswer_chunks = [\"b\"]", "not both"),
        ("url = \"https://a.example/\"\nstatus = 100", "200 to 599"),
        ("url = \"https://a.example/\"\nfault = \"clock-jump\"", "belong together"),
        ("url = \"https://a.example/\"\nfault = \"flood\"", "unknown variant `flood`"),
        ("url = \"https://a.example/\"\nrefusals = 3", "`refusals` belongs"),
    ] {
        let refused = parse(&format!("[[case]]\nname = \"a\"\n[[case.http]]\n{http}\n{step}")).unwrap_err();
        assert!(refused.contains(said), "{refused}\nnot: {said}");
    }
    let twice = format!("[[case]]\nname = \"a\"\n{step}[[case]]\nname = \"a\"\n{step}");
    assert!(parse(&twice).unwrap_err().contains(":5: the case \"a\" is there twice"));
}
