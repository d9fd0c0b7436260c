//! Doc comments of WIT, wherever they have been kept.
//!
//! A component binary has no place for them. They stand in the custom section `package-docs`, which tools append, in
//! `berth-docs`, which packing appends, or in a `wit/` folder beside the component. All are read by names alone: the
//! first section names the world of the source, which the component itself has lost.

mod embed;

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use wasmparser::{Parser, Payload};
use wit_parser::decoding::{DecodedWasm, decode as decode_wit};
use wit_parser::{PackageMetadata, Resolve, WorldId};

use crate::error::InstallError;

/// Doc comments by interface and item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Docs {
    /// Interface (its bare name; empty for a world), item path such as `send` or `card.title`.
    texts: HashMap<(String, String), String>,
}

/// A `wit/` folder that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the WIT folder {path} cannot be read: {message}")]
pub struct DocsError {
    pub path: String,
    pub message: String,
}

impl DocsError {
    fn new(path: &Path, message: impl ToString) -> Self {
        Self { path: path.display().to_string(), message: message.to_string() }
    }

    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        "WIT_FOLDER_INVALID"
    }
}

/// What the files of a WIT folder may hold together.
const FOLDER_BYTES: u64 = 4 << 20;
/// Files and folders in a WIT folder.
const FOLDER_ENTRIES: u32 = 512;
/// `wit/deps/package` is the deepest folder that is read.
const FOLDER_LEVELS: u32 = 3;

/// What may still come in a WIT folder.
struct Room {
    bytes: u64,
    entries: u32,
}

/// Looks at everything before the parser does, which reads a pipe or a device for as long as there is something.
fn check_folder(path: &Path, level: u32, room: &mut Room) -> Result<(), DocsError> {
    if level == FOLDER_LEVELS {
        return Ok(());
    }
    for entry in path.read_dir().map_err(|error| DocsError::new(path, error))? {
        let entry = entry.map_err(|error| DocsError::new(path, error))?.path();
        // The parser says what a link that leads nowhere means.
        let Ok(meta) = entry.metadata() else { continue };
        let left = room.entries.checked_sub(1);
        room.entries =
            left.ok_or_else(|| DocsError::new(path, format!("it has more than {FOLDER_ENTRIES} files")))?;
        if meta.is_dir() {
            check_folder(&entry, level + 1, room)?;
        } else if meta.is_file() {
            let left = room.bytes.checked_sub(meta.len());
            room.bytes = left.ok_or_else(|| {
                DocsError::new(&entry, format!("the files have more than {FOLDER_BYTES} bytes"))
            })?;
        } else {
            return Err(DocsError::new(&entry, "it is neither a file nor a folder"));
        }
    }
    Ok(())
}

impl Docs {
    /// Reads the doc comments of a WIT folder, its `deps` included: at most 4 MiB in 512 files.
    pub fn from_folder(path: &Path) -> Result<Self, DocsError> {
        check_folder(path, 0, &mut Room { bytes: FOLDER_BYTES, entries: FOLDER_ENTRIES })?;
        let mut resolve = Resolve::default();
        resolve.push_path(path).map_err(|error| DocsError::new(path, format!("{error:#}")))?;
        let mut docs = Self::default();
        for (_, world) in &resolve.worlds {
            for item in world.exports.values() {
                if let wit_parser::WorldItem::Function(function) = item {
                    docs.put("", &function.name, function.docs.contents.as_deref());
                }
            }
        }
        for (_, interface) in &resolve.interfaces {
            let Some(name) = &interface.name else { continue };
            docs.put(name, "", interface.docs.contents.as_deref());
            for function in interface.functions.values() {
                docs.put(name, &function.name, function.docs.contents.as_deref());
            }
            for (type_name, id) in &interface.types {
                let ty = &resolve.types[*id];
                docs.put(name, type_name, ty.docs.contents.as_deref());
                match &ty.kind {
                    wit_parser::TypeDefKind::Record(record) => {
                        for field in &record.fields {
                            docs.put_item(name, type_name, &field.name, field.docs.contents.as_deref());
                        }
                    }
                    wit_parser::TypeDefKind::Variant(variant) => {
                        for case in &variant.cases {
                            docs.put_item(name, type_name, &case.name, case.docs.contents.as_deref());
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(docs)
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Adds the sections of a component that hold doc comments; what is there already stays.
    pub fn add_sections(&mut self, bytes: &[u8]) {
        for payload in Parser::new(0).parse_all(bytes) {
            let Ok(Payload::CustomSection(section)) = payload else { continue };
            if section.name() != PackageMetadata::SECTION_NAME && section.name() != embed::SECTION {
                continue;
            }
            // A version byte, then JSON.
            let Some((_, json)) = section.data().split_first() else { continue };
            match serde_json::from_slice::<Package>(json) {
                Ok(package) => self.add(package),
                Err(error) => tracing::debug!(%error, "a package-docs section cannot be read"),
            }
        }
    }

    /// Writes the texts to the interfaces and functions that `world` exports.
    pub(super) fn inject(&self, resolve: &mut Resolve, world: WorldId) {
        let mut interfaces = Vec::new();
        for (key, item) in &mut resolve.worlds[world].exports {
            match item {
                wit_parser::WorldItem::Function(function) => {
                    self.write("", &function.name, &mut function.docs.contents);
                }
                wit_parser::WorldItem::Interface { id, .. } => {
                    interfaces.push((
                        *id,
                        match key {
                            wit_parser::WorldKey::Name(name) => Some(name.clone()),
                            wit_parser::WorldKey::Interface(_) => None,
                        },
                    ));
                }
                wit_parser::WorldItem::Type { .. } => {}
            }
        }
        for (id, name) in interfaces {
            if let Some(name) = name.or_else(|| resolve.interfaces[id].name.clone()) {
                self.inject_interface(resolve, id, &name);
            }
        }
        // Types come from other interfaces too.
        let named: Vec<_> = resolve
            .interfaces
            .iter()
            .filter_map(|(id, interface)| Some((id, interface.name.clone()?)))
            .collect();
        for (id, name) in named {
            self.inject_interface(resolve, id, &name);
        }
    }

    fn inject_interface(&self, resolve: &mut Resolve, id: wit_parser::InterfaceId, name: &str) {
        let interface = &mut resolve.interfaces[id];
        self.write(name, "", &mut interface.docs.contents);
        for function in interface.functions.values_mut() {
            self.write(name, &function.name, &mut function.docs.contents);
        }
        let types: Vec<_> = interface.types.iter().map(|(name, id)| (name.clone(), *id)).collect();
        for (type_name, id) in types {
            let ty = &mut resolve.types[id];
            self.write(name, &type_name, &mut ty.docs.contents);
            match &mut ty.kind {
                wit_parser::TypeDefKind::Record(record) => {
                    for field in &mut record.fields {
                        self.write(name, &format!("{type_name}.{}", field.name), &mut field.docs.contents);
                    }
                }
                wit_parser::TypeDefKind::Variant(variant) => {
                    for case in &mut variant.cases {
                        self.write(name, &format!("{type_name}.{}", case.name), &mut case.docs.contents);
                    }
                }
                _ => {}
            }
        }
    }

    fn write(&self, interface: &str, item: &str, target: &mut Option<String>) {
        if target.as_deref().is_none_or(str::is_empty)
            && let Some(text) = self.texts.get(&(interface.to_owned(), item.to_owned()))
        {
            *target = Some(text.clone());
        }
    }

    fn add(&mut self, package: Package) {
        for world in package.worlds.into_values() {
            for (function, texts) in world.func_exports.into_iter().chain(world.funcs) {
                self.put("", &function, texts.text());
            }
            for (name, interface) in world.interface_exports.into_iter().chain(world.interfaces) {
                self.add_interface(&name, interface);
            }
        }
        for (name, interface) in package.interfaces {
            self.add_interface(&name, interface);
        }
    }

    fn add_interface(&mut self, name: &str, interface: Interface) {
        self.put(name, "", interface.docs.as_deref());
        for (function, texts) in interface.funcs {
            self.put(name, &function, texts.text());
        }
        for (ty, texts) in interface.types {
            self.put(name, &ty, texts.docs.as_deref());
            for (item, text) in texts.items {
                self.put_item(name, &ty, &item, text.text());
            }
        }
    }

    fn put(&mut self, interface: &str, item: &str, text: Option<&str>) {
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return };
        self.texts.entry((interface.to_owned(), item.to_owned())).or_insert_with(|| text.to_owned());
    }

    fn put_item(&mut self, interface: &str, ty: &str, item: &str, text: Option<&str>) {
        self.put(interface, &format!("{ty}.{item}"), text);
    }
}

/// Reads the interfaces of a component, leaving aside the sections that only document them.
pub(super) fn decode(bytes: &[u8]) -> Result<(Resolve, WorldId), InstallError> {
    let plain = without_docs(bytes);
    match decode_wit(plain.as_deref().unwrap_or(bytes)) {
        Ok(DecodedWasm::Component(resolve, world)) => Ok((resolve, world)),
        Ok(DecodedWasm::WitPackage(..)) => Err(InstallError::WitPackage),
        Err(error) => Err(InstallError::Wit { message: format!("{error:#}") }),
    }
}

/// The component without its own `package-docs` sections; `None` when it has none.
fn without_docs(bytes: &[u8]) -> Option<Vec<u8>> {
    const PREAMBLE: usize = 8;
    let mut plain = bytes.get(..PREAMBLE)?.to_vec();
    let mut at = PREAMBLE;
    let mut found = false;
    while at < bytes.len() {
        let (length, content) = leb(bytes, at + 1)?;
        let end = content.checked_add(length)?;
        let section = bytes.get(content..end)?;
        let is_docs = bytes.get(at) == Some(&0) && {
            let (length, name) = leb(section, 0)?;
            section.get(name..name.checked_add(length)?) == Some(PackageMetadata::SECTION_NAME.as_bytes())
        };
        if is_docs {
            found = true;
        } else {
            plain.extend_from_slice(bytes.get(at..end)?);
        }
        at = end;
    }
    found.then_some(plain)
}

/// The number at `at`, and where what follows begins.
fn leb(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut number = 0_u64;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(number).ok()?, at));
        }
    }
    None
}

#[derive(Deserialize)]
struct Package {
    #[serde(default)]
    worlds: HashMap<String, World>,
    #[serde(default)]
    interfaces: HashMap<String, Interface>,
}

#[derive(Deserialize)]
struct World {
    #[serde(default)]
    funcs: HashMap<String, Texts>,
    #[serde(default)]
    interfaces: HashMap<String, Interface>,
    #[serde(default)]
    func_exports: HashMap<String, Texts>,
    #[serde(default)]
    interface_exports: HashMap<String, Interface>,
}

#[derive(Deserialize)]
struct Interface {
    docs: Option<String>,
    #[serde(default)]
    funcs: HashMap<String, Texts>,
    #[serde(default)]
    types: HashMap<String, TypeTexts>,
}

#[derive(Deserialize)]
struct TypeTexts {
    docs: Option<String>,
    #[serde(default)]
    items: HashMap<String, Texts>,
}

/// The first version of the section has texts, the second one objects.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    Plain(String),
    Object { docs: Option<String> },
}

impl Texts {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Object { docs } => docs.as_deref(),
        }
    }
}
