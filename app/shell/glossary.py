"""What CPart's words mean, for the pop-overs on the pages. One meaning each; design.md's words."""

from __future__ import annotations

import streamlit as st

WORDS = {
    "neuron": (
        "One hidden unit of a feed-forward layer: a row of W_gate and W_up, a column of W_down."
    ),
    "segment": (
        "A group of neurons of one layer. Every layer is divided into the same number of segments,"
        " and the segments of a layer have the same size."
    ),
    "shared segment": "A segment whose weight is always 1: neurons that every context needs.",
    "partition": (
        "Which neuron lies in which segment, for every layer. It is found again on a schedule"
        " during training, then frozen."
    ),
    "context": (
        "What a document belongs to: a domain, a language, a task. Given as a label, or found from"
        " gradients."
    ),
    "signature": (
        "How much a neuron contributes to the loss of each context: the mean over tokens of |a"
        " \u00b7 dL/da|, where a is the neuron's activation. To first order this is what removing"
        " the neuron would change."
    ),
    "fusion weights": (
        "Written alpha: the attention weights with which the outputs of a layer's segments are"
        " summed, for each token. They sum to 1 over the segments."
    ),
    "factor": (
        "What a segment's output is really multiplied by: as many times its fusion weight as there"
        " are segments, so that even weights give 1, which is the dense layer; 0 where it is not"
        " computed."
    ),
    "fusion": (
        "The module that makes the fusion weights from the input: the token's hidden state, or its"
        " mean over the document so far. It never looks ahead."
    ),
    "fusion mass": (
        "The mean fusion weight of a segment over many tokens, for example over the validation text"
        " of one context."
    ),
    "churn": (
        "The share of a layer's neurons that changed their segment at a repartition, after segment"
        " numbers were matched to the previous ones."
    ),
    "entropy": (
        "How spread the fusion weights of a token are, in bits: 0 when one segment takes all, log2"
        " S when all S are alike."
    ),
    "run": (
        "One training run, kept in one folder. Every page reads it; closing the page loses nothing."
    ),
    "checkpoint": "The weights and the optimizer's state at one step: what a run goes on from.",
    "snapshot": "What the pages show of one step: partition, signatures and fusion mass.",
    "twin": (
        "A control run on the very same batches: with a dense layer, or with a random partition."
    ),
    "validation loss": (
        "How surprised the model is by held-out text, in nats per token: the mean over contexts,"
        " each counted the same. Lower is better. It is always of all validation text, each row"
        " once. While a model is being trained a sample of these rows is read, the same each time:"
        " what it gives is called the sampled validation loss."
    ),
    "faithfulness": (
        "The share of each point's 15 nearest neighbours among signatures that are also its 15"
        " nearest on the plane. A map keeps only so much: distances between far groups mean little."
    ),
    "information": (
        "How many bits one thing says about another. I(S;C): what a token's segment S says about"
        " its context C; I(S;T): about which token T it is; I(S;C given T): what S says about C to"
        " somebody who knows T already. If that is nothing more than chance, segments may only"
        " follow words."
    ),
    "chance": (
        "What comes out when there is nothing to find: the context labels of whole documents are"
        " shuffled (for I(S;T) the tokens), and all is counted again, many times. Few documents say"
        " something by accident, so chance is more than 0. Taking all of it off is a cautious"
        " figure: labels that mean something leave less room for accidents than shuffled ones."
    ),
    "committee share": (
        "The smallest share of a layer's segments that hold at least 60 % of the fusion mass in"
        " every context. Small: the same few segments serve every context. 60 % when fusion is"
        " even; more when contexts have segments of their own."
    ),
    "co-activation": (
        "How often two segments are among the chosen ones of the same token, against what it would"
        " be if each were chosen independently of the other, as often as it is."
    ),
    "lift": "How much more fusion weight a segment gets on this token than on the average token.",
}


def words(*names: str) -> None:
    """A row of small pop-overs, one a word. Unknown words are our own mistake."""
    with st.container(horizontal=True, gap="small"):
        for name in names:
            with st.popover(name, type="tertiary", icon=":material/help:"):
                st.markdown(f"**{name}**  \n{WORDS[name]}")
