//! Which addresses are not of the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not dialled unless a grant names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Range {
    Unspecified,
    Loopback,
    Private,
    LinkLocal,
    SharedNat,
    UniqueLocal,
    SiteLocal,
    Multicast,
    Broadcast,
    Metadata,
    Documentation,
    Benchmark,
    /// An IPv6 form that carries an IPv4 address: mapped, compatible, translated, NAT64, 6to4, Teredo, ISATAP.
    Embedded,
    Reserved,
}

impl Range {
    /// The range in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::SharedNat => "carrier NAT",
            Self::UniqueLocal => "unique local",
            Self::SiteLocal => "site-local",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Metadata => "cloud metadata",
            Self::Documentation => "documentation",
            Self::Benchmark => "benchmark",
            Self::Embedded => "IPv4 inside IPv6",
            Self::Reserved => "reserved",
        }
    }

    /// Whether no grant can open it: there is no HTTP server at such an address.
    pub const fn is_never_opened(self) -> bool {
        matches!(self, Self::Unspecified | Self::Multicast | Self::Broadcast)
    }
}

/// Where clouds answer with the credentials of the machine.
const METADATA: [IpAddr; 9] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 0, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// The range that keeps an address from being dialled; none for one of the public internet.
pub fn forbidden(ip: IpAddr) -> Option<Range> {
    if METADATA.contains(&ip) {
        return Some(Range::Metadata);
    }
    match ip {
        IpAddr::V4(ip) => forbidden_v4(ip),
        IpAddr::V6(ip) => forbidden_v6(ip),
    }
}

fn forbidden_v4(ip: Ipv4Addr) -> Option<Range> {
    let range = match ip.octets() {
        [0, 0, 0, 0] => Range::Unspecified,
        [0, ..] => Range::Reserved,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Range::Private,
        [100, 64..=127, ..] => Range::SharedNat,
        [127, ..] => Range::Loopback,
        [169, 254, ..] => Range::LinkLocal,
        // Protocol assignments, and the relays of 6to4.
        [192, 0, 0, _] | [192, 88, 99, _] => Range::Reserved,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Range::Documentation,
        [198, 18..=19, ..] => Range::Benchmark,
        [224..=239, ..] => Range::Multicast,
        [255, 255, 255, 255] => Range::Broadcast,
        [240..=255, ..] => Range::Reserved,
        _ => return None,
    };
    Some(range)
}

fn forbidden_v6(ip: Ipv6Addr) -> Option<Range> {
    let range = match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Range::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Range::Loopback,
        // Compatible, mapped and translated.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Range::Embedded,
        // NAT64, the well-known prefix and the local one.
        [0x64, 0xff9b, ..] => Range::Embedded,
        [0x2002, ..] | [0x2001, 0, ..] => Range::Embedded,
        // The last half of ISATAP is 0:5efe or 200:5efe and an IPv4 address.
        [_, _, _, _, 0 | 0x200, 0x5efe, _, _] => Range::Embedded,
        [0x2001, 2, 0, ..] => Range::Benchmark,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Range::Documentation,
        // Protocol assignments: ORCHID and the like.
        [0x2001, 0..=0x1ff, ..] => Range::Reserved,
        [0xfc00..=0xfdff, ..] => Range::UniqueLocal,
        [0xfe80..=0xfebf, ..] => Range::LinkLocal,
        [0xfec0..=0xfeff, ..] => Range::SiteLocal,
        [0xff00..=0xffff, ..] => Range::Multicast,
        // Only this eighth of all addresses is given out.
        [0x2000..=0x3fff, ..] => return None,
        _ => Range::Reserved,
    };
    Some(range)
}

#[cfg(test)]
mod tests;
