//! The variants of an enum: a word each.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{DataEnum, Fields};

use crate::description;

/// The schema of one of these words, and how it is read.
pub fn words(data: &DataEnum, description_of_all: &str) -> syn::Result<(Tokens, Tokens)> {
    let mut words = Vec::new();
    let mut arms = Vec::new();
    let mut text = description_of_all.to_owned();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(syn::Error::new_spanned(
                &variant.fields,
                "the variants of an argument are words alone",
            ));
        }
        let (ident, word) = (&variant.ident, kebab(&variant.ident.to_string()));
        let meaning = description(&variant.attrs);
        if !meaning.is_empty() {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&format!("`{word}`: {meaning}"));
        }
        arms.push(quote!(::core::option::Option::Some(#word) => ::core::result::Result::Ok(Self::#ident)));
        words.push(word);
    }
    let schema = quote!(::berth_plugin::__private::word(#text, &[#(#words),*]));
    let take = quote! {
        match value.as_str() {
            #(#arms,)*
            _ => ::core::result::Result::Err(::berth_plugin::__private::no_word(value, &[#(#words),*])),
        }
    };
    Ok((schema, take))
}

/// `CreateNew` as `create-new`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && index > 0 {
            text.push('-');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_a_word_as_in_wit() {
        assert_eq!(kebab("CreateNew"), "create-new");
        assert_eq!(kebab("Text"), "text");
    }
}
