//! `#[derive(Argument)]` of `berth-plugin`: the JSON Schema of a struct or an enum, and how it is read.
//!
//! Use it as `berth_plugin::Argument`, where it is explained beside the trait of the same name.

mod field;
mod variants;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Expr, ExprLit, Fields, Lit, Meta};

/// Implements `berth_plugin::Argument` for a struct with named fields, or for an enum without any.
///
/// Doc comments become descriptions. A field may have `#[argument(default = …)]`, `minimum`, `maximum` and `name`.
#[proc_macro_derive(Argument, attributes(argument))]
pub fn argument(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    implement(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn implement(input: &DeriveInput) -> syn::Result<Tokens> {
    if let Some(parameter) = input.generics.params.first() {
        return Err(syn::Error::new_spanned(parameter, "arguments have no parameters of type or life"));
    }
    let description = description(&input.attrs);
    let (schema, take) = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => field::object(&fields.named, &description)?,
            other => return Err(syn::Error::new_spanned(other, "the fields of arguments have names")),
        },
        Data::Enum(data) => variants::words(data, &description)?,
        Data::Union(data) => {
            return Err(syn::Error::new_spanned(data.union_token, "a union is no argument"));
        }
    };
    let name = &input.ident;
    Ok(quote! {
        #[automatically_derived]
        impl ::berth_plugin::Argument for #name {
            fn schema() -> ::berth_plugin::Value {
                #schema
            }

            fn take(value: &::berth_plugin::Value) -> ::core::result::Result<Self, ::berth_plugin::Mismatch> {
                #take
            }
        }
    })
}

/// The doc comment as one text: lines of a paragraph are joined.
fn description(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes {
        let Meta::NameValue(pair) = &attribute.meta else { continue };
        let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &pair.value else { continue };
        if !pair.path.is_ident("doc") {
            continue;
        }
        let line = line.value();
        match line.trim() {
            "" => text.push('\n'),
            line if text.is_empty() || text.ends_with('\n') => text.push_str(line),
            line => {
                text.push(' ');
                text.push_str(line);
            }
        }
    }
    text.trim().to_owned()
}
