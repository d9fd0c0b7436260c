#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::target::{Host, Target};

#[test]
fn every_range_off_the_public_internet_is_known() {
    let table: &[(&str, Range)] = &[
        ("0.0.0.0", Range::Unspecified),
        ("0.1.2.3", Range::Reserved),
        ("10.0.0.1", Range::Private),
        ("10.255.255.255", Range::Private),
        ("100.64.0.1", Range::SharedNat),
        ("100.127.255.255", Range::SharedNat),
        ("127.0.0.1", Range::Loopback),
        ("127.255.255.254", Range::Loopback),
        ("169.254.1.1", Range::LinkLocal),
        ("172.16.0.1", Range::Private),
        ("172.31.255.255", Range::Private),
        ("192.0.0.8", Range::Reserved),
        ("192.0.2.1", Range::Documentation),
        ("192.88.99.1", Range::Reserved),
        ("192.168.0.1", Range::Private),
        ("198.18.0.1", Range::Benchmark),
        ("198.19.255.255", Range::Benchmark),
        ("198.51.100.7", Range::Documentation),
        ("203.0.113.7", Range::Documentation),
        ("224.0.0.1", Range::Multicast),
        ("239.255.255.255", Range::Multicast),
        ("240.0.0.1", Range::Reserved),
        ("255.255.255.254", Range::Reserved),
        ("255.255.255.255", Range::Broadcast),
        ("169.254.169.254", Range::Metadata),
        ("169.254.170.2", Range::Metadata),
        ("100.100.100.200", Range::Metadata),
        ("168.63.129.16", Range::Metadata),
        ("192.0.0.192", Range::Metadata),
        ("fd00:ec2::254", Range::Metadata),
        ("fd20:ce::254", Range::Metadata),
        ("::", Range::Unspecified),
        ("::1", Range::Loopback),
        ("::7f00:1", Range::Embedded),
        ("::8.8.8.8", Range::Embedded),
        ("::ffff:127.0.0.1", Range::Embedded),
        ("::ffff:8.8.8.8", Range::Embedded),
        ("::ffff:0:127.0.0.1", Range::Embedded),
        ("64:ff9b::7f00:1", Range::Embedded),
        ("64:ff9b:1::a00:1", Range::Embedded),
        ("2002:7f00:1::", Range::Embedded),
        ("2001:0:4136:e378::1", Range::Embedded),
        ("2a00:1450::5efe:7f00:1", Range::Embedded),
        ("2a00:1450::200:5efe:a00:1", Range::Embedded),
        ("100::1", Range::Reserved),
        ("2001:2:0:1::1", Range::Benchmark),
        ("2001:10::1", Range::Reserved),
        ("2001:20::1", Range::Reserved),
        ("2001:db8::1", Range::Documentation),
        ("3fff:fff::1", Range::Documentation),
        ("5f00::1", Range::Reserved),
        ("fc00::1", Range::UniqueLocal),
        ("fdff::1", Range::UniqueLocal),
        ("fe80::1", Range::LinkLocal),
        ("febf::1", Range::LinkLocal),
        ("fec0::1", Range::SiteLocal),
        ("ff02::1", Range::Multicast),
        ("1000::1", Range::Reserved),
        ("4000::1", Range::Reserved),
    ];
    for (text, range) in table {
        assert_eq!(forbidden(text.parse().unwrap()), Some(*range), "{text}");
    }
}

#[test]
fn public_addresses_beside_each_range_are_dialled() {
    for text in [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2003::1",
        "2606:4700:4700::1111",
        "3ffe::1",
    ] {
        assert_eq!(forbidden(text.parse().unwrap()), None, "{text}");
    }
}

fn forbidden_v4_address() -> impl Strategy<Value = Ipv4Addr> {
    let below = |a: u8| any::<[u8; 3]>().prop_map(move |[b, c, d]| Ipv4Addr::new(a, b, c, d));
    prop_oneof![
        below(0),
        below(10),
        below(127),
        (224_u8..=255).prop_flat_map(below),
        (64_u8..=127, any::<[u8; 2]>()).prop_map(|(b, [c, d])| Ipv4Addr::new(100, b, c, d)),
        (16_u8..=31, any::<[u8; 2]>()).prop_map(|(b, [c, d])| Ipv4Addr::new(172, b, c, d)),
        any::<[u8; 2]>().prop_map(|[c, d]| Ipv4Addr::new(192, 168, c, d)),
        any::<[u8; 2]>().prop_map(|[c, d]| Ipv4Addr::new(169, 254, c, d)),
    ]
}

fn part(value: u32, form: u8) -> String {
    match form % 4 {
        0 => value.to_string(),
        1 => format!("0x{value:x}"),
        2 => format!("0X{value:X}"),
        _ => format!("0{value:o}"),
    }
}

/// One of the ways to write the address that some parser takes.
fn spelled(ip: Ipv4Addr, parts: u8, forms: [u8; 4], dot: &str) -> String {
    let number = u32::from(ip);
    let [a, b, c, _] = ip.octets().map(u32::from);
    let pieces: Vec<u32> = match parts % 4 {
        0 => vec![number],
        1 => vec![a, number & 0x00ff_ffff],
        2 => vec![a, b, number & 0xffff],
        _ => vec![a, b, c, number & 0xff],
    };
    let words: Vec<String> = pieces.iter().zip(forms).map(|(piece, form)| part(*piece, form)).collect();
    words.join(dot)
}

proptest! {
    #[test]
    fn no_way_to_write_a_forbidden_address_gets_through(
        ip in forbidden_v4_address(), parts: u8, forms: [u8; 4],
        dot in prop::sample::select(vec![".", "。", "．", "｡"]),
        wide: bool, trailing: bool, scheme in prop::sample::select(vec!["http", "https", "ws", "wss"]),
    ) {
        let mut host = spelled(ip, parts, forms, dot);
        if wide {
            host = host.chars()
                .map(|c| if c.is_ascii_digit() { char::from_u32('０' as u32 + c as u32 - '0' as u32).unwrap() } else { c })
                .collect();
        }
        if trailing {
            host.push('.');
        }

        match Target::parse(&format!("{scheme}://{host}:8080/x")) {
            Err(_) => {}
            Ok(target) => match target.origin().host {
                Host::Ip(found) => {
                    prop_assert_eq!(found, IpAddr::V4(ip));
                    prop_assert!(forbidden(found).is_some());
                }
                Host::Name(ref name) => prop_assert!(false, "{} is taken for the name {}", host, name),
            },
        }
    }

    #[test]
    fn no_ipv6_form_of_an_ipv4_address_gets_through(ip: Ipv4Addr, tail: u32, form in 0_u8..8) {
        let number = u32::from(ip);
        let (high, low) = (number >> 16, number & 0xffff);
        let host = match form {
            0 => format!("[::ffff:{ip}]"),
            1 => format!("[::{ip}]"),
            2 => format!("[::ffff:{high:x}:{low:x}]"),
            3 => format!("[64:ff9b::{ip}]"),
            4 => format!("[2002:{high:x}:{low:x}::1]"),
            5 => format!("[2001:0:{high:x}:{low:x}::{:x}]", tail & 0xffff),
            6 => format!("[0:0:0:0:0:FFFF:{high:X}:{low:X}]"),
            _ => format!("[2a00:1450:4001::5efe:{ip}]"),
        };

        let target = Target::parse(&format!("http://{host}/")).unwrap();

        let Host::Ip(found) = target.origin().host else { panic!("{host} is a name") };
        prop_assert!(forbidden(found).is_some(), "{}", host);
    }
}
