//! What a WIT type looks like to a model.

use wasmtime::component::types;

/// Nodes of the types of one function at most; a type that refers to another twice doubles its size.
const MAX_NODES: usize = 4096;
/// How deep types nest at most.
const MAX_DEPTH: usize = 32;

/// An integer type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Int {
    U8,
    S8,
    U16,
    S16,
    U32,
    S32,
    U64,
    S64,
}

impl Int {
    /// The smallest and the largest value.
    pub const fn bounds(self) -> (i128, i128) {
        match self {
            Self::U8 => (0, u8::MAX as i128),
            Self::S8 => (i8::MIN as i128, i8::MAX as i128),
            Self::U16 => (0, u16::MAX as i128),
            Self::S16 => (i16::MIN as i128, i16::MAX as i128),
            Self::U32 => (0, u32::MAX as i128),
            Self::S32 => (i32::MIN as i128, i32::MAX as i128),
            Self::U64 => (0, u64::MAX as i128),
            Self::S64 => (i64::MIN as i128, i64::MAX as i128),
        }
    }

    /// Whether JSON numbers of common readers cannot hold every value.
    pub const fn is_wide(self) -> bool {
        matches!(self, Self::U64 | Self::S64)
    }
}

/// A type of WIT, without names and aliases.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    Bool,
    Int(Int),
    F32,
    F64,
    Char,
    String,
    /// `list<u8>`.
    Bytes,
    List(Box<Shape>),
    Option(Box<Shape>),
    Tuple(Vec<Shape>),
    Record(Vec<Field>),
    Variant(Vec<Case>),
    Enum(Vec<String>),
    Flags(Vec<String>),
    Result {
        ok: Option<Box<Shape>>,
        err: Option<Box<Shape>>,
    },
}

/// A field of a record, or a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The name in WIT.
    pub wit: String,
    /// The name in JSON: `-` as `_`.
    pub json: String,
    pub docs: Option<String>,
    pub shape: Shape,
}

impl Field {
    pub fn new(wit: &str, docs: Option<String>, shape: Shape) -> Self {
        Self { wit: wit.to_owned(), json: wit.replace('-', "_"), docs, shape }
    }

    /// Whether a caller may leave the field out.
    pub fn is_optional(&self) -> bool {
        matches!(self.shape, Shape::Option(_))
    }
}

/// A case of a variant.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    pub name: String,
    pub docs: Option<String>,
    pub shape: Option<Shape>,
}

/// The signature of an exported function.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionShape {
    pub params: Vec<Field>,
    pub result: Option<Shape>,
}

/// Why a type has no JSON form here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    #[error("it uses a {0}")]
    Kind(&'static str),
    #[error("its types nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("its types have more than {MAX_NODES} parts")]
    TooLarge,
}

/// Counts the parts of a signature while it is read.
#[derive(Debug, Default)]
struct Budget {
    nodes: usize,
    depth: usize,
}

impl Budget {
    fn enter(&mut self) -> Result<(), Unsupported> {
        self.nodes += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Unsupported::TooDeep);
        }
        if self.nodes > MAX_NODES { Err(Unsupported::TooLarge) } else { Ok(()) }
    }
}

impl FunctionShape {
    /// Reads the signature of a function in WIT, with its doc comments.
    pub fn from_wit(
        resolve: &wit_parser::Resolve,
        function: &wit_parser::Function,
    ) -> Result<Self, Unsupported> {
        let mut budget = Budget::default();
        let params = function
            .params
            .iter()
            .map(|param| Ok(Field::new(&param.name, None, from_wit(resolve, &param.ty, &mut budget)?)))
            .collect::<Result<_, Unsupported>>()?;
        let result = function.result.as_ref().map(|ty| from_wit(resolve, ty, &mut budget)).transpose()?;
        Ok(Self { params, result })
    }

    /// Reads the signature of a function of a compiled component.
    pub fn from_component(function: &types::ComponentFunc) -> Result<Self, Unsupported> {
        if function.async_() {
            return Err(Unsupported::Kind("async function"));
        }
        let mut budget = Budget::default();
        let params = function
            .params()
            .map(|(name, ty)| Ok(Field::new(name, None, from_component(&ty, &mut budget)?)))
            .collect::<Result<_, Unsupported>>()?;
        let result = function.results().next().map(|ty| from_component(&ty, &mut budget)).transpose()?;
        Ok(Self { params, result })
    }
}

fn docs(docs: &wit_parser::Docs) -> Option<String> {
    docs.contents.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn from_wit(
    resolve: &wit_parser::Resolve,
    ty: &wit_parser::Type,
    budget: &mut Budget,
) -> Result<Shape, Unsupported> {
    use wit_parser::Type;

    budget.enter()?;
    let shape = match ty {
        Type::Bool => Shape::Bool,
        Type::U8 => Shape::Int(Int::U8),
        Type::U16 => Shape::Int(Int::U16),
        Type::U32 => Shape::Int(Int::U32),
        Type::U64 => Shape::Int(Int::U64),
        Type::S8 => Shape::Int(Int::S8),
        Type::S16 => Shape::Int(Int::S16),
        Type::S32 => Shape::Int(Int::S32),
        Type::S64 => Shape::Int(Int::S64),
        Type::F32 => Shape::F32,
        Type::F64 => Shape::F64,
        Type::Char => Shape::Char,
        Type::String => Shape::String,
        Type::ErrorContext => return Err(Unsupported::Kind("error-context")),
        Type::Id(id) => from_definition(resolve, &resolve.types[*id].kind, budget)?,
    };
    budget.depth -= 1;
    Ok(shape)
}

fn from_definition(
    resolve: &wit_parser::Resolve,
    kind: &wit_parser::TypeDefKind,
    budget: &mut Budget,
) -> Result<Shape, Unsupported> {
    use wit_parser::TypeDefKind as Kind;

    Ok(match kind {
        Kind::Type(ty) => from_wit(resolve, ty, budget)?,
        Kind::Record(record) => Shape::Record(
            record
                .fields
                .iter()
                .map(|field| {
                    Ok(Field::new(&field.name, docs(&field.docs), from_wit(resolve, &field.ty, budget)?))
                })
                .collect::<Result<_, Unsupported>>()?,
        ),
        Kind::Variant(variant) => Shape::Variant(
            variant
                .cases
                .iter()
                .map(|case| {
                    let shape = case.ty.as_ref().map(|ty| from_wit(resolve, ty, budget)).transpose()?;
                    Ok(Case { name: case.name.clone(), docs: docs(&case.docs), shape })
                })
                .collect::<Result<_, Unsupported>>()?,
        ),
        Kind::Enum(cases) => Shape::Enum(cases.cases.iter().map(|case| case.name.clone()).collect()),
        Kind::Flags(flags) => Shape::Flags(flags.flags.iter().map(|flag| flag.name.clone()).collect()),
        Kind::Tuple(tuple) => Shape::Tuple(
            tuple.types.iter().map(|ty| from_wit(resolve, ty, budget)).collect::<Result<_, _>>()?,
        ),
        Kind::Option(ty) => Shape::Option(Box::new(from_wit(resolve, ty, budget)?)),
        Kind::List(ty) => list(from_wit(resolve, ty, budget)?),
        Kind::Result(result) => Shape::Result {
            ok: result.ok.as_ref().map(|ty| from_wit(resolve, ty, budget)).transpose()?.map(Box::new),
            err: result.err.as_ref().map(|ty| from_wit(resolve, ty, budget)).transpose()?.map(Box::new),
        },
        Kind::Resource | Kind::Handle(_) => return Err(Unsupported::Kind("resource")),
        other => return Err(Unsupported::Kind(other.as_str())),
    })
}

fn list(item: Shape) -> Shape {
    if item == Shape::Int(Int::U8) { Shape::Bytes } else { Shape::List(Box::new(item)) }
}

fn from_component(ty: &types::Type, budget: &mut Budget) -> Result<Shape, Unsupported> {
    use types::Type;

    budget.enter()?;
    let shape = match ty {
        Type::Bool => Shape::Bool,
        Type::U8 => Shape::Int(Int::U8),
        Type::U16 => Shape::Int(Int::U16),
        Type::U32 => Shape::Int(Int::U32),
        Type::U64 => Shape::Int(Int::U64),
        Type::S8 => Shape::Int(Int::S8),
        Type::S16 => Shape::Int(Int::S16),
        Type::S32 => Shape::Int(Int::S32),
        Type::S64 => Shape::Int(Int::S64),
        Type::Float32 => Shape::F32,
        Type::Float64 => Shape::F64,
        Type::Char => Shape::Char,
        Type::String => Shape::String,
        Type::List(inner) => list(from_component(&inner.ty(), budget)?),
        Type::Option(inner) => Shape::Option(Box::new(from_component(&inner.ty(), budget)?)),
        Type::Record(record) => Shape::Record(
            record
                .fields()
                .map(|field| Ok(Field::new(field.name, None, from_component(&field.ty, budget)?)))
                .collect::<Result<_, Unsupported>>()?,
        ),
        Type::Tuple(tuple) => {
            Shape::Tuple(tuple.types().map(|ty| from_component(&ty, budget)).collect::<Result<_, _>>()?)
        }
        Type::Variant(variant) => Shape::Variant(
            variant
                .cases()
                .map(|case| {
                    let shape = case.ty.as_ref().map(|ty| from_component(ty, budget)).transpose()?;
                    Ok(Case { name: case.name.to_owned(), docs: None, shape })
                })
                .collect::<Result<_, Unsupported>>()?,
        ),
        Type::Enum(cases) => Shape::Enum(cases.names().map(str::to_owned).collect()),
        Type::Flags(flags) => Shape::Flags(flags.names().map(str::to_owned).collect()),
        Type::Result(result) => Shape::Result {
            ok: result.ok().map(|ty| from_component(&ty, budget)).transpose()?.map(Box::new),
            err: result.err().map(|ty| from_component(&ty, budget)).transpose()?.map(Box::new),
        },
        Type::Own(_) | Type::Borrow(_) => return Err(Unsupported::Kind("resource")),
        Type::Map(_) => return Err(Unsupported::Kind("map")),
        Type::Future(_) => return Err(Unsupported::Kind("future")),
        Type::Stream(_) => return Err(Unsupported::Kind("stream")),
        Type::ErrorContext => return Err(Unsupported::Kind("error-context")),
        Type::FixedLengthList(_) => return Err(Unsupported::Kind("fixed-length list")),
    };
    budget.depth -= 1;
    Ok(shape)
}
