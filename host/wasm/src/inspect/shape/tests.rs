use wasm_encoder::{
    CanonicalFunctionSection, CodeSection, Component, ComponentSection, ComponentTypeSection, ConstExpr,
    CustomSection, DataSection, ElementSection, Elements, EntityType, Function, FunctionSection,
    GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, Module, ModuleSection,
    NestedComponentSection, RawSection, RefType, TableSection, TableType, TypeSection, ValType,
};

use super::*;

fn around(module: &Module) -> Vec<u8> {
    let mut component = Component::new();
    component.section(&ModuleSection(module));
    component.finish()
}

fn module(section: &impl wasm_encoder::Section) -> Vec<u8> {
    let mut module = Module::new();
    module.section(section);
    around(&module)
}

/// A component with the same section several times.
fn repeated(section: &impl ComponentSection, times: u64) -> Vec<u8> {
    let mut component = Component::new();
    for _ in 0..times {
        component.section(section);
    }
    component.finish()
}

fn types(count: u64) -> Vec<u8> {
    let mut types = TypeSection::new();
    for _ in 0..count {
        types.ty().function([], []);
    }
    module(&types)
}

/// Functions of the first type with these bodies.
fn code<'a>(bodies: impl IntoIterator<Item = &'a Function>) -> Vec<u8> {
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    for body in bodies {
        functions.function(0);
        code.function(body);
    }
    let mut module = Module::new();
    module.section(&functions).section(&code);
    around(&module)
}

fn functions(count: u64) -> Vec<u8> {
    let empty = Function::new([]);
    code((0..count).map(|_| &empty))
}

fn crossings(count: u64) -> Vec<u8> {
    let mut functions = CanonicalFunctionSection::new();
    for _ in 0..count {
        functions.lower(0, []);
    }
    repeated(&functions, 1)
}

fn names(count: u64) -> Vec<u8> {
    let mut imports = ImportSection::new();
    for _ in 0..count {
        imports.import("a", "b", EntityType::Function(0));
    }
    module(&imports)
}

fn custom(length: u64) -> Vec<u8> {
    // The name takes two of the bytes.
    let data = vec![0; usize::try_from(length).unwrap() - 2];
    repeated(&CustomSection { name: "a".into(), data: data.into() }, 1)
}

fn data(length: u64) -> Vec<u8> {
    let mut data = DataSection::new();
    // Around the bytes: the number of segments, the kind of this one, its length in four bytes.
    data.passive(vec![0; usize::try_from(length).unwrap() - 6]);
    module(&data)
}

fn segments(count: u64) -> Vec<u8> {
    let mut data = DataSection::new();
    for _ in 0..count {
        data.passive([]);
    }
    module(&data)
}

fn elements(length: u64) -> Vec<u8> {
    // Around the indices of a byte each: the number of segments, kind, type, and their number in four bytes.
    let indices = vec![0; usize::try_from(length).unwrap() - 7];
    let mut elements = ElementSection::new();
    elements.declared(Elements::Functions(indices.into()));
    module(&elements)
}

fn globals(count: u64) -> Vec<u8> {
    let ty = GlobalType { val_type: ValType::I32, mutable: false, shared: false };
    let mut globals = GlobalSection::new();
    for _ in 0..count {
        globals.global(ty, &ConstExpr::i32_const(0));
    }
    module(&globals)
}

fn memories(count: u64) -> Vec<u8> {
    let ty = MemoryType { minimum: 0, maximum: None, memory64: false, shared: false, page_size_log2: None };
    let mut memories = MemorySection::new();
    for _ in 0..count {
        memories.memory(ty);
    }
    module(&memories)
}

fn tables(count: u64) -> Vec<u8> {
    let ty = TableType {
        element_type: RefType::FUNCREF,
        minimum: 0,
        maximum: None,
        table64: false,
        shared: false,
    };
    let mut tables = TableSection::new();
    for _ in 0..count {
        tables.table(ty);
    }
    module(&tables)
}

fn locals(count: u64) -> Vec<u8> {
    const OF_ONE: u64 = 40_000;
    let bodies: Vec<Function> = (0..count)
        .step_by(usize::try_from(OF_ONE).unwrap())
        .map(|first| Function::new([(u32::try_from(OF_ONE.min(count - first)).unwrap(), ValType::I32)]))
        .collect();
    code(&bodies)
}

fn body(length: u64) -> Vec<u8> {
    let mut function = Function::new([]);
    // The number of groups of locals takes one byte.
    function.raw(vec![1; usize::try_from(length).unwrap() - 1]);
    code([&function])
}

fn modules(count: u64) -> Vec<u8> {
    repeated(&ModuleSection(&Module::new()), count)
}

fn components(count: u64) -> Vec<u8> {
    repeated(&NestedComponentSection(&Component::new()), count - 1)
}

fn sections(count: u64) -> Vec<u8> {
    repeated(&ComponentTypeSection::new(), count)
}

fn custom_sections(count: u64) -> Vec<u8> {
    repeated(&CustomSection { name: "a".into(), data: [].as_slice().into() }, count)
}

#[test]
fn each_cap_lets_through_what_is_at_it_and_refuses_one_more() {
    type Make = fn(u64) -> Vec<u8>;
    let rows: [(&str, u64, Make); 17] = [
        ("core modules", limits::MODULES, modules),
        ("nested components", limits::COMPONENTS, components),
        ("functions", limits::FUNCTIONS, functions),
        ("functions that cross its border", limits::CROSSINGS, crossings),
        ("types", limits::TYPES, types),
        ("imports and exports", limits::NAMES, names),
        ("sections", limits::SECTIONS, sections),
        ("custom sections", limits::CUSTOM_SECTIONS, custom_sections),
        ("bytes in custom sections", limits::CUSTOM_BYTES, custom),
        ("bytes of data", limits::DATA_BYTES, data),
        ("pieces of data", limits::DATA_SEGMENTS, segments),
        ("bytes of table content", limits::ELEMENT_BYTES, elements),
        ("globals", limits::GLOBALS, globals),
        ("memories", limits::MEMORIES, memories),
        ("tables", limits::TABLES, tables),
        ("local variables", limits::LOCALS, locals),
        ("bytes in one function", limits::BODY_BYTES, body),
    ];
    for (what, limit, make) in rows {
        let fits = make(limit);
        assert!(fits.len() <= crate::limits::COMPONENT_BYTES, "{what}: the size of the file hides this cap");
        assert_eq!(count(&fits), Ok(()), "{what} at the cap");

        let error = count(&make(limit + 1)).unwrap_err();

        assert_eq!(error, InstallError::TooMany { what, count: limit + 1, limit });
        assert_eq!(error.code(), "COMPONENT_TOO_COMPLEX");
    }
}

/// A type section with one type that is `depth` types of instances inside each other.
fn nested_types(depth: usize) -> Vec<u8> {
    // One type; then each level is an instance of one declaration, which is a type.
    let mut section = vec![1];
    for _ in 0..depth {
        section.extend([0x42, 1, 1]);
    }
    // The innermost: a `bool`.
    section.push(0x7f);
    repeated(&RawSection { id: 7, data: &section }, 1)
}

#[test]
fn types_inside_of_types_are_capped_before_anything_follows_them_down() {
    let fits = nested_types(limits::TYPE_NESTING);
    assert_eq!(check(&fits, usize::MAX), Ok(()));

    // The deepest that fits the file: to follow it by calls would take more stack than a thread has.
    for depth in [limits::TYPE_NESTING + 1, 10_000_000] {
        let error = check(&nested_types(depth), usize::MAX).unwrap_err();

        let limit = limits::TYPE_NESTING;
        assert_eq!(error, InstallError::TooDeep { depth: limit + 1, limit });
    }
}

#[test]
fn a_type_section_that_ends_too_early_is_said_to_be_so() {
    let whole = nested_types(3);

    let error = check(&whole[..whole.len() - 1], usize::MAX).unwrap_err();

    assert_eq!(error.code(), "COMPONENT_TRUNCATED");
}
