#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn shown(text: &str) -> String {
    match Target::parse(text) {
        Ok(target) => target.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_spelling_of_a_url_has_one_form() {
    for (text, normal) in [
        ("https://open.feishu.cn", "https://open.feishu.cn/"),
        ("HTTPS://Open.Feishu.CN:443/a", "https://open.feishu.cn/a"),
        ("https://open.feishu.cn./a", "https://open.feishu.cn/a"),
        ("http://a.example:80/", "http://a.example/"),
        ("http://a.example:443/", "http://a.example:443/"),
        ("wss://a.example/ws?x=1#f", "https://a.example/ws?x=1"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://BÜCHER.example/", "https://xn--bcher-kva.example/"),
        ("https://ｅｘａｍｐｌｅ。com/", "https://example.com/"),
        ("https://a.example/b/../c", "https://a.example/c"),
        ("https://a.example/b/%2e%2E/c", "https://a.example/c"),
        ("https://a.example/%7euser/%41", "https://a.example/~user/A"),
        ("https://a.example/x%2fy", "https://a.example/x%2Fy"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://0177.0.0.1/", "http://127.0.0.1/"),
        ("http://127.1/", "http://127.0.0.1/"),
        ("http://[0:0:0:0:0:0:0:1]:80/", "http://[::1]/"),
        ("http://[::FFFF:7F00:1]/", "http://[::ffff:127.0.0.1]/"),
    ] {
        assert_eq!(shown(text), normal, "{text}");
    }
}

#[test]
fn a_url_that_two_parsers_read_differently_is_refused() {
    for text in [
        "open.feishu.cn",
        "//open.feishu.cn/",
        "https:open.feishu.cn",
        "https:/open.feishu.cn",
        "https:///open.feishu.cn",
        "ftp://open.feishu.cn/",
        "file:///etc/passwd",
        "https://user@open.feishu.cn/",
        "https://user:pass@open.feishu.cn/",
        "https://@open.feishu.cn/",
        "https://open.feishu.cn@10.0.0.1/",
        "https://open.feishu.cn\\@10.0.0.1/",
        "https://open.feishu.cn\\.evil.example/",
        "https://open.fei\tshu.cn/",
        "https://open.feishu.cn/\r\nHost: evil",
        " https://open.feishu.cn/",
        "https://open.feishu.cn/a b",
        "https://open%2efeishu.cn/",
        "https://%31%32%37.0.0.1/",
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::1/",
        "https://open.feishu.cn:0/",
        "https://open.feishu.cn:65536/",
        "https://open..feishu.cn/",
        "https://open.feishu.cn../",
        "https://.feishu.cn/",
        "https://a!b.example/",
        "https://1.2.3.4.5/",
        "https://256.1.1.1/",
        "https://0x100000000/",
        "https://",
        "https://xn--/",
    ] {
        assert!(Target::parse(text).is_err(), "{text} is {}", shown(text));
    }
}

#[test]
fn a_path_that_leads_out_of_its_prefix_after_decoding_is_refused() {
    for path in [
        "/open-apis/..%2fadmin",
        "/open-apis/%2e%2e%2fadmin",
        "/open-apis/..%5cadmin",
        "/open-apis/%252e%252e/admin",
        "/open-apis/%252e%252e%252fadmin",
        "/open-apis/..;/admin",
        "/open-apis/..;x=1/admin",
        "/open-apis/%2e%2e;/admin",
        "/open-apis/..%20/admin",
        "/open-apis/..%00/admin",
        "/open-apis/%c0%ae%c0%ae/admin",
        "/open-apis/%",
        "/open-apis/%2",
        "/open-apis/%zz",
        "/open-apis/%u002e%u002e/admin",
        "/open-apis/%25252525252525252e",
        "/open-apis/%0d%0aHost:x",
    ] {
        assert!(Target::parse(&format!("https://a.example{path}")).is_err(), "{path}");
    }
}

#[test]
fn a_location_is_read_like_any_other_url() {
    let base = Target::parse("https://a.example/b/c?d").unwrap();

    for (location, wanted) in [
        ("/x", "https://a.example/x"),
        ("y", "https://a.example/b/y"),
        ("?z", "https://a.example/b/c?z"),
        ("//b.example/x", "https://b.example/x"),
        ("http://127.1/", "http://127.0.0.1/"),
        ("/login?next=https://b.example/", "https://a.example/login?next=https://b.example/"),
    ] {
        assert_eq!(base.join(location).unwrap().to_string(), wanted, "{location}");
    }
    for location in ["//user@b.example/", "javascript:alert(1)", "file:///etc", "\\\\b.example/", "/..%2fx"] {
        assert!(base.join(location).is_err(), "{location}");
    }
}

proptest! {
    #[test]
    fn the_normal_form_is_its_own_normal_form(text in "https?://[a-z0-9.:\\[\\]-]{1,20}(/[a-zA-Z0-9%._;~-]{0,12}){0,4}(\\?[a-z=&%]{0,8})?") {
        if let Ok(target) = Target::parse(&text) {
            prop_assert_eq!(Target::parse(&target.to_string()).unwrap(), target);
        }
    }

    #[test]
    fn no_text_panics_the_parser(text in "\\PC{0,80}", rest in "\\PC{0,80}") {
        let _ = Target::parse(&text);
        let _ = Target::parse(&format!("https://{rest}"));
        let _ = Target::parse("https://a.example/b").unwrap().join(&text);
    }
}
