//! Types and values out of bytes.

use berth_wasm::value::shape::{Case, Field, Int, Shape};
use wasmtime::component::Val;

/// How deep made types nest.
const DEPTH: u8 = 6;
/// The longest made list.
const ITEMS: u8 = 8;

/// Bytes that are taken from the front; zeros when they are used up.
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub fn next(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn word(&mut self) -> u64 {
        (0..8).fold(0, |word, _| word << 8 | u64::from(self.next()))
    }

    fn text(&mut self) -> String {
        let length = usize::from(self.next()).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }
}

/// A type.
pub fn shape(bytes: &mut Bytes<'_>, depth: u8) -> Shape {
    let kinds = if depth < DEPTH { 16 } else { 9 };
    let boxed = |bytes: &mut Bytes<'_>| Box::new(shape(bytes, depth + 1));
    let some =
        |bytes: &mut Bytes<'_>| bytes.next().is_multiple_of(2).then(|| Box::new(shape(bytes, depth + 1)));
    let count = |bytes: &mut Bytes<'_>| 1 + bytes.next() % 4;
    match bytes.next() % kinds {
        0 => Shape::Bool,
        1 => Shape::Int(INTS[usize::from(bytes.next()) % INTS.len()]),
        2 => Shape::F32,
        3 => Shape::F64,
        4 => Shape::Char,
        5 => Shape::String,
        6 => Shape::Bytes,
        7 => Shape::Enum(names(count(bytes))),
        8 => Shape::Flags(names(count(bytes))),
        9 => Shape::List(match shape(bytes, depth + 1) {
            // Only as bytes is a list of them a type of its own.
            Shape::Int(Int::U8) => Box::new(Shape::Int(Int::S8)),
            other => Box::new(other),
        }),
        10 | 11 => Shape::Option(boxed(bytes)),
        12 => Shape::Tuple((0..count(bytes)).map(|_| shape(bytes, depth + 1)).collect()),
        13 => Shape::Record(
            names(count(bytes)).iter().map(|name| Field::new(name, None, shape(bytes, depth + 1))).collect(),
        ),
        14 => Shape::Variant(
            names(count(bytes))
                .into_iter()
                .map(|name| Case { name, docs: None, shape: some(bytes).map(|shape| *shape) })
                .collect(),
        ),
        _ => Shape::Result { ok: some(bytes), err: some(bytes) },
    }
}

const INTS: [Int; 8] = [Int::U8, Int::S8, Int::U16, Int::S16, Int::U32, Int::S32, Int::U64, Int::S64];

/// Such as `name-0`, `name-1`.
fn names(count: u8) -> Vec<String> {
    (0..count).map(|number| format!("name-{number}")).collect()
}

/// A value of the type.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "any bits will do")]
pub fn val(bytes: &mut Bytes<'_>, shape: &Shape) -> Val {
    let optional =
        |bytes: &mut Bytes<'_>, shape: Option<&Shape>| shape.map(|shape| Box::new(val(bytes, shape)));
    match shape {
        Shape::Bool => Val::Bool(bytes.next() % 2 == 1),
        Shape::Int(Int::U8) => Val::U8(bytes.next()),
        Shape::Int(Int::S8) => Val::S8(bytes.next() as i8),
        Shape::Int(Int::U16) => Val::U16(bytes.word() as u16),
        Shape::Int(Int::S16) => Val::S16(bytes.word() as i16),
        Shape::Int(Int::U32) => Val::U32(bytes.word() as u32),
        Shape::Int(Int::S32) => Val::S32(bytes.word() as i32),
        Shape::Int(Int::U64) => Val::U64(bytes.word()),
        Shape::Int(Int::S64) => Val::S64(bytes.word() as i64),
        Shape::F32 => Val::Float32(f32::from_bits(bytes.word() as u32)),
        Shape::F64 => Val::Float64(f64::from_bits(bytes.word())),
        Shape::Char => Val::Char(char::from_u32(bytes.word() as u32 % 0x11_0000).unwrap_or('?')),
        Shape::String => Val::String(bytes.text()),
        Shape::Bytes => Val::List((0..bytes.next()).map(|_| Val::U8(bytes.next())).collect()),
        Shape::List(item) => Val::List((0..bytes.next() % ITEMS).map(|_| val(bytes, item)).collect()),
        Shape::Option(inner) => Val::Option((bytes.next() % 2 == 1).then(|| Box::new(val(bytes, inner)))),
        Shape::Tuple(items) => Val::Tuple(items.iter().map(|item| val(bytes, item)).collect()),
        Shape::Record(fields) => {
            Val::Record(fields.iter().map(|field| (field.wit.clone(), val(bytes, &field.shape))).collect())
        }
        Shape::Variant(cases) => {
            let case = &cases[usize::from(bytes.next()) % cases.len()];
            Val::Variant(case.name.clone(), optional(bytes, case.shape.as_ref()))
        }
        Shape::Enum(names) => Val::Enum(names[usize::from(bytes.next()) % names.len()].clone()),
        Shape::Flags(names) => {
            let bits = bytes.next();
            let set = names.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1);
            Val::Flags(set.map(|(_, name)| name.clone()).collect())
        }
        Shape::Result { ok, err } => Val::Result(if bytes.next().is_multiple_of(2) {
            Ok(optional(bytes, ok.as_deref()))
        } else {
            Err(optional(bytes, err.as_deref()))
        }),
    }
}
