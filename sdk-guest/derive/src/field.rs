//! The fields of a struct: a property each.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::punctuated::Punctuated;
use syn::{Expr, Field, LitStr, Token};

use crate::description;

/// What `#[argument(…)]` says of a field.
#[derive(Default)]
struct Wishes {
    name: Option<LitStr>,
    default: Option<Expr>,
    minimum: Option<Expr>,
    maximum: Option<Expr>,
}

impl Wishes {
    fn read(field: &Field) -> syn::Result<Self> {
        let mut wishes = Self::default();
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("argument")) {
            attribute.parse_nested_meta(|wish| {
                if wish.path.is_ident("name") {
                    wishes.name = Some(wish.value()?.parse()?);
                } else if wish.path.is_ident("default") {
                    wishes.default = Some(wish.value()?.parse()?);
                } else if wish.path.is_ident("minimum") {
                    wishes.minimum = Some(wish.value()?.parse()?);
                } else if wish.path.is_ident("maximum") {
                    wishes.maximum = Some(wish.value()?.parse()?);
                } else {
                    return Err(wish.error("it is `name`, `default`, `minimum` or `maximum`"));
                }
                Ok(())
            })?;
        }
        Ok(wishes)
    }
}

/// The schema of an object with these fields, and how it is read.
pub fn object(fields: &Punctuated<Field, Token![,]>, description: &str) -> syn::Result<(Tokens, Tokens)> {
    let mut properties = Vec::new();
    let mut readers = Vec::new();
    for field in fields {
        let (property, reader) = one(field)?;
        properties.push(property);
        readers.push(reader);
    }
    let schema = quote! {
        ::berth_plugin::__private::object(#description, ::std::vec![#(#properties),*])
    };
    let take = quote! {
        let fields = ::berth_plugin::__private::Taken::new(value)?;
        let taken = Self { #(#readers),* };
        fields.end()?;
        ::core::result::Result::Ok(taken)
    };
    Ok((schema, take))
}

fn one(field: &Field) -> syn::Result<(Tokens, Tokens)> {
    let wishes = Wishes::read(field)?;
    let Some(ident) = &field.ident else {
        return Err(syn::Error::new_spanned(field, "the fields of arguments have names"));
    };
    let (name, ty) = (wishes.name.map_or_else(|| ident.unraw().to_string(), |name| name.value()), &field.ty);
    let description = description(&field.attrs);
    let or_none = |value: Option<&Expr>| match value {
        Some(value) => quote!(::core::option::Option::Some(::berth_plugin::json!(#value))),
        None => quote!(::core::option::Option::None),
    };
    let [default, minimum, maximum] =
        [&wishes.default, &wishes.minimum, &wishes.maximum].map(|value| or_none(value.as_ref()));
    let property = quote! {
        ::berth_plugin::__private::property::<#ty>(#name, #description, #default, #minimum, #maximum)
    };
    let otherwise = match &wishes.default {
        Some(value) => quote!(::core::option::Option::Some(::core::convert::Into::into(#value))),
        None => quote!(<#ty as ::berth_plugin::Argument>::absent()),
    };
    let reader = quote!(#ident: fields.take(#name, #otherwise, #minimum, #maximum)?);
    Ok((property, reader))
}
