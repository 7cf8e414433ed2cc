"""vLLM's CPU LoRA operators as lmft replaces them, against one row at a time in float64."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.vllm_plugin import cpu_lora_seam

BASE = -1  # the slot of a row without an adapter

# No assertion on time anywhere: this machine is shared.
relaxed = settings(deadline=None, max_examples=60)

slot_lists = st.integers(1, 8).flatmap(
    lambda n_slots: st.tuples(
        st.just(n_slots), st.lists(st.integers(BASE, n_slots - 1), min_size=1, max_size=24)
    )
)
dtypes = st.sampled_from([torch.float32, torch.bfloat16])
ranks = st.integers(1, 16)
widths = st.integers(1, 40)
seeds = st.integers(0, 2**31)


def make_wrapper(slots, n_slots, *, sampled=None, prefill=True, stock=False):
    """A wrapper whose batch has these slots for its tokens (and for its sampled rows)."""
    from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

    from serving.vllm_plugin.cpu_punica import GroupedPunicaWrapperCPU

    wrapper = (PunicaWrapperCPU if stock else GroupedPunicaWrapperCPU)(64, 64, "cpu")
    set_slots(wrapper, slots, n_slots, sampled=sampled, prefill=prefill)
    return wrapper


def set_slots(wrapper, slots, n_slots, *, sampled=None, prefill=True, adapters=None):
    """Tell the wrapper about the next batch as vLLM does: adapter ids from 1, 0 for the base.

    `adapters`: the id in each slot; one more than its slot where nothing is said.
    """
    if adapters is not None:
        ids = [0 if slot == BASE else adapters[slot] for slot in slots]
        mapping = SimpleNamespace(index_mapping=ids, prompt_mapping=ids, is_prefill=prefill)
        wrapper.update_metadata(mapping, adapters, n_slots + 1, 100)
        return
    mapping = SimpleNamespace(
        index_mapping=tuple(slot + 1 for slot in slots),
        prompt_mapping=tuple(slot + 1 for slot in (slots if sampled is None else sampled)),
        is_prefill=prefill,
    )
    wrapper.update_metadata(mapping, [i + 1 for i in range(n_slots)], n_slots + 1, 100)


def randn(generator, *shape, dtype):
    return torch.randn(*shape, generator=generator).to(dtype)


def naive_linear(y, x, a_stacked, b_stacked, slots, scale, output_slices, *, offset=0, add=True):
    """What the operators should do, row by row, in float64, rounded to y's dtype at the end."""
    expected = y.clone()
    for row, slot in enumerate(slots):
        if slot == BASE:
            continue
        start = offset
        for a, b, width in zip(a_stacked, b_stacked, output_slices, strict=True):
            delta = scale * (b[slot, 0].double() @ (a[slot, 0].double() @ x[row].double()))
            old = y[row, start : start + width].double() if add else 0.0
            expected[row, start : start + width] = (old + delta).to(y.dtype)
            start += width
    return expected


def assert_rows(y, expected, before, slots):
    """Adapter rows agree with the reference; all other rows are the same bits as before."""
    untouched = [row for row in range(len(y)) if row >= len(slots) or slots[row] == BASE]
    assert torch.equal(y[untouched], before[untouched])
    # One rounding to bfloat16 is half a unit in the last place; the reference's own is another.
    tolerance = (
        {"rtol": 2**-7, "atol": 1e-4} if y.dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-4}
    )
    torch.testing.assert_close(y, expected, **tolerance)


@relaxed
@given(
    batch=slot_lists,
    rank=ranks,
    n_in=widths,
    output_slices=st.lists(widths, min_size=1, max_size=3),
    model_dtype=dtypes,
    lora_dtype=dtypes,
    buffered=st.sampled_from([None, torch.float32, torch.bfloat16]),
    prefill=st.booleans(),
    add=st.booleans(),
    scale=st.sampled_from([1.0, 0.5]),
    padding=st.integers(0, 3),
    seed=seeds,
)
def test_linear_equals_one_row_at_a_time(
    batch,
    rank,
    n_in,
    output_slices,
    model_dtype,
    lora_dtype,
    buffered,
    prefill,
    add,
    scale,
    padding,
    seed,
):
    n_slots, slots = batch
    generator = torch.Generator().manual_seed(seed)
    n_rows = len(slots) + padding
    x = randn(generator, n_rows, n_in, dtype=model_dtype)
    y = randn(generator, n_rows, sum(output_slices), dtype=model_dtype)
    # Sizes as in a trained adapter: a delta of about the size of the output.
    a = [
        randn(generator, n_slots, 1, rank, n_in, dtype=lora_dtype) / n_in**0.5
        for _ in output_slices
    ]
    b = [
        randn(generator, n_slots, 1, width, rank, dtype=lora_dtype) / rank**0.5
        for width in output_slices
    ]
    buffer = None
    if buffered is not None:
        buffer = tuple(torch.zeros(n_rows, rank, dtype=buffered) for _ in output_slices)
    before = y.clone()
    expected = naive_linear(y, x, a, b, slots, scale, output_slices, add=add)

    wrapper = make_wrapper(slots, n_slots, prefill=prefill)
    wrapper.add_lora_linear(
        y, x, tuple(a), tuple(b), scale, tuple(output_slices), buffer=buffer, add_inputs=add
    )

    if buffered == torch.bfloat16:
        # The caller chose to round between the products: the base rows are what is left to hold.
        untouched = [row for row in range(n_rows) if row >= len(slots) or slots[row] == BASE]
        assert torch.equal(y[untouched], before[untouched])
        torch.testing.assert_close(y.float(), expected.float(), rtol=0.05, atol=0.15)
    else:
        assert_rows(y, expected, before, slots)


@relaxed
@given(
    batch=slot_lists,
    rank=ranks,
    n_in=widths,
    output_slices=st.lists(widths, min_size=1, max_size=3),
    offset=st.integers(0, 5),
    stacked_buffer=st.booleans(),
    seed=seeds,
)
def test_shrink_then_expand_equals_one_row_at_a_time(
    batch, rank, n_in, output_slices, offset, stacked_buffer, seed
):
    """The two halves on their own, as tensor-parallel layers call them, at an output offset."""
    n_slots, slots = batch
    generator = torch.Generator().manual_seed(seed)
    x = randn(generator, len(slots), n_in, dtype=torch.float32)
    y = randn(generator, len(slots), offset + sum(output_slices), dtype=torch.float32)
    a = [randn(generator, n_slots, 1, rank, n_in, dtype=torch.float32) for _ in output_slices]
    b = [randn(generator, n_slots, 1, w, rank, dtype=torch.float32) for w in output_slices]
    before = y.clone()
    expected = naive_linear(y, x, a, b, slots, 1.0, output_slices, offset=offset)

    wrapper = make_wrapper(slots, n_slots)
    buffers = torch.zeros(len(output_slices), len(slots), rank)
    wrapper.add_shrink(buffers if stacked_buffer else list(buffers), x, tuple(a), 1.0)
    base_rows = [row for row, slot in enumerate(slots) if slot == BASE]
    assert not buffers[:, base_rows].any()
    wrapper.add_expand(
        y, buffers, tuple(b), tuple(output_slices), offset_start=offset, add_input=True
    )

    untouched = [row for row, slot in enumerate(slots) if slot == BASE]
    assert torch.equal(y[untouched], before[untouched])
    assert torch.equal(y[:, :offset], before[:, :offset])
    torch.testing.assert_close(y, expected, rtol=1e-3, atol=1e-3)


@relaxed
@given(batch=slot_lists, rank=ranks, n_out=widths, dtype=dtypes, seed=seeds)
def test_embedding_equals_one_row_at_a_time(batch, rank, n_out, dtype, seed):
    n_slots, slots = batch
    generator = torch.Generator().manual_seed(seed)
    x = randn(generator, len(slots), rank, dtype=dtype)  # rows of A, chosen by token id
    y = randn(generator, len(slots), n_out, dtype=dtype)
    b = randn(generator, n_slots, 1, n_out, rank, dtype=dtype)
    identity = torch.eye(rank).expand(n_slots, 1, rank, rank)
    before = y.clone()
    expected = naive_linear(y, x, [identity], [b], slots, 1.0, [n_out])

    make_wrapper(slots, n_slots).add_lora_embedding(y, x, b, add_input=True)

    assert_rows(y, expected, before, slots)


@relaxed
@given(
    batch=slot_lists,
    rank=ranks,
    n_in=widths,
    vocab=widths,
    padding=st.integers(-3, 3),
    dtype=dtypes,
    buffered=st.booleans(),
    seed=seeds,
)
def test_logits_follow_the_sampled_rows(batch, rank, n_in, vocab, padding, dtype, buffered, seed):
    """The LM head goes by the mapping of sampled rows; its vocabulary may be padded otherwise."""
    n_slots, sampled = batch
    tokens = [slot for slot in sampled for _ in range(2)]  # two tokens a prompt
    generator = torch.Generator().manual_seed(seed)
    x = randn(generator, len(sampled), n_in, dtype=dtype)
    y = randn(generator, len(sampled), max(1, vocab + padding), dtype=dtype)
    a = randn(generator, n_slots, 1, rank, n_in, dtype=dtype)
    b = randn(generator, n_slots, 1, vocab, rank, dtype=dtype)
    width = min(vocab, y.shape[1])
    before = y.clone()
    expected = naive_linear(y, x, [a], [b[:, :, :width]], sampled, 1.0, [width])
    buffer = torch.zeros(len(sampled), rank) if buffered else None

    wrapper = make_wrapper(tokens, n_slots, sampled=sampled)
    wrapper.add_lora_logits(y, x, a, b, 1.0, buffer=buffer)

    base_rows = [row for row, slot in enumerate(sampled) if slot == BASE]
    assert torch.equal(y[base_rows], before[base_rows])
    torch.testing.assert_close(
        y, expected, rtol=2**-7 if dtype == torch.bfloat16 else 1e-3, atol=1e-3
    )


@relaxed
@given(
    batch=slot_lists,
    enabled=st.lists(st.booleans(), min_size=8, max_size=8),
    n_in=widths,
    labels=widths,
    dtype=dtypes,
    seed=seeds,
)
def test_whole_heads_replace_only_their_own_rows(batch, enabled, n_in, labels, dtype, seed):
    n_slots, sampled = batch
    generator = torch.Generator().manual_seed(seed)
    x = randn(generator, len(sampled), n_in, dtype=dtype)
    y = randn(generator, len(sampled), labels, dtype=dtype)
    heads = randn(generator, n_slots, 1, labels, n_in, dtype=dtype)
    biases = randn(generator, n_slots, labels, dtype=dtype)
    before, expected = y.clone(), y.clone()
    for row, slot in enumerate(sampled):
        if slot != BASE and enabled[slot]:
            value = heads[slot, 0].double() @ x[row].double() + biases[slot].double()
            expected[row] = value.to(dtype)

    wrapper = make_wrapper(sampled, n_slots)
    wrapper.apply_lora_full_linear(y, x, heads, biases, torch.tensor(enabled[:n_slots]))

    kept = [row for row, slot in enumerate(sampled) if slot == BASE or not enabled[slot]]
    assert torch.equal(y[kept], before[kept])
    torch.testing.assert_close(
        y, expected, rtol=2**-7 if dtype == torch.bfloat16 else 1e-3, atol=1e-3
    )


def mixed_batch(*, stock):
    """Rows of two adapters around two base rows; the output before and after."""
    slots = [0, BASE, 1, BASE]
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 8, generator=generator)
    y = torch.randn(4, 8, generator=generator)
    a = torch.randn(2, 1, 4, 8, generator=generator)
    b = torch.randn(2, 1, 8, 4, generator=generator)
    before = y.clone()
    make_wrapper(slots, 2, stock=stock).add_lora_linear(y, x, (a,), (b,), 1.0, (8,))
    return before, y


def test_base_rows_stay_the_same_bits_in_a_mixed_batch():
    before, after = mixed_batch(stock=False)
    assert torch.equal(after[[1, 3]], before[[1, 3]])
    assert not torch.equal(after[[0, 2]], before[[0, 2]])


def test_vllms_own_operators_still_change_base_rows():
    """Why the plugin replaces them. When this fails, vLLM has mended it: look at the seam again."""
    before, after = mixed_batch(stock=True)
    assert not torch.equal(after[[1, 3]], before[[1, 3]])


def test_a_batch_without_adapters_is_not_touched_even_by_nan_weights():
    y = torch.randn(3, 5)
    before = y.clone()
    nan = torch.full((2, 1, 4, 5), float("nan"))
    wrapper = make_wrapper([BASE] * 3, 2)
    wrapper.add_lora_linear(y, torch.randn(3, 5), (nan,), (nan.transpose(2, 3),), 1.0, (5,))
    assert torch.equal(y, before)


def test_nothing_is_added_before_vllm_gave_a_mapping():
    from serving.vllm_plugin.cpu_punica import GroupedPunicaWrapperCPU

    wrapper = GroupedPunicaWrapperCPU(16, 4, "cpu")
    assert wrapper.token_groups(16).groups == ()
    assert wrapper.sampler_groups(4).groups == ()


def test_rows_are_grouped_once_a_batch_and_anew_for_the_next():
    wrapper = make_wrapper([0, 0, BASE, 1, 0], 2)
    grouping = wrapper.token_groups(5)
    assert wrapper.token_groups(5) is grouping  # shared by all layers
    assert wrapper.sampler_groups(5) is wrapper.sampler_groups(5)
    assert grouping.order.tolist() == [0, 1, 4, 3]
    assert grouping.groups == ((0, slice(0, 3)), (1, slice(3, 4)))
    set_slots(wrapper, [BASE, 1, 1, 0, BASE], 2)
    # Rows of an adapter that follow one another are not gathered.
    expected = (None, ((1, slice(1, 3)), (0, slice(3, 4))))
    assert wrapper.token_groups(5)[:2] == wrapper.sampler_groups(5)[:2] == expected


def test_prompt_rows_at_the_head_follow_a_batch_of_one_adapter():
    """prompt_logprobs sends all rows of a prompt where the mapping has one row a prompt."""
    wrapper = make_wrapper([1] * 6, 2, sampled=[1, 1])
    assert wrapper.sampler_groups(6)[:2] == (None, ((1, slice(0, 6)),))
    assert make_wrapper([BASE] * 6, 2, sampled=[BASE]).sampler_groups(6)[:2] == (None, ())


def test_rows_that_are_the_only_ones_of_their_adapters_are_known_from_the_others():
    grouping = make_wrapper([3, 0, BASE, 1, 0, 2], 4).token_groups(6)
    assert dict(grouping.lone) == {3: 1, 5: 2, 0: 3}
    assert [slot for slot, _ in grouping.larger] == [0]
    # One is a product as any other.
    assert make_wrapper([0, BASE, 1, 1], 2).token_groups(4).lone == ()


@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_many_adapters_answer_the_same_by_either_way(limit, monkeypatch):
    """One product of copied weights, or a product for each where the copy would be large."""
    from serving.vllm_plugin import cpu_lora_places as places

    generator, slots = torch.Generator().manual_seed(3), [4, 0, BASE, 2, 0, 1, 3]
    x, y = (randn(generator, 7, width, dtype=torch.float32) for width in (24, 30))
    a = [randn(generator, 5, 1, 4, 24, dtype=torch.float32) for _ in range(2)]
    b = [randn(generator, 5, 1, width, 4, dtype=torch.float32) for width in (20, 10)]
    expected, before = naive_linear(y, x, a, b, slots, 0.5, (20, 10)), y.clone()
    monkeypatch.setattr(places, "_MOST_BYTES", limit)
    make_wrapper(slots, 5).add_lora_linear(y, x, a, b, 0.5, (20, 10))
    assert_rows(y, expected, before, slots)


@relaxed
@given(
    st.lists(
        st.tuples(
            st.permutations(range(1, 9)).map(lambda adapters: adapters[:5]),
            st.lists(st.integers(BASE, 4), min_size=1, max_size=8),
        ),
        min_size=2,
        max_size=8,
    ),
    dtypes,
    seeds,
)
def test_over_many_batches_each_row_has_the_adapter_that_is_in_its_slot_now(batches, dtype, seed):
    """Adapters come, go, and come back in other slots; what was copied of them stays right."""
    generator = torch.Generator().manual_seed(seed)
    weights = {
        adapter: [randn(generator, 1, *shape, dtype=dtype) for shape in ((4, 12), (9, 4), (5, 4))]
        for adapter in range(1, 9)
    }
    a, b, c = (torch.zeros(5, *one.shape, dtype=dtype) for one in weights[1])
    wrapper = make_wrapper([BASE], 5)
    for adapters, slots in batches:
        for slot, adapter in enumerate(adapters):
            a[slot], b[slot], c[slot] = weights[adapter]
        set_slots(wrapper, slots, 5, adapters=adapters)
        for _ in range(2):
            x, y = (randn(generator, len(slots), width, dtype=dtype) for width in (12, 14))
            expected, before = naive_linear(y, x, (a, a), (b, c), slots, 0.5, (9, 5)), y.clone()
            wrapper.add_lora_linear(y, x, (a, a), (b, c), 0.5, (9, 5))
            assert_rows(y, expected, before, slots)


def test_prompt_rows_of_an_unknown_adapter_are_refused():
    wrapper = make_wrapper([0, 0, 1], 2, sampled=[0, 1])
    with pytest.raises(RuntimeError, match="which adapter they belong to is unknown"):
        wrapper.sampler_groups(3)


def test_prompt_rows_of_a_mixed_batch_pass_a_head_that_no_adapter_of_it_changes():
    """Several models of a Llama asked for prompt_logprobs at once, as the probe does."""
    wrapper = make_wrapper([0, 0, 1], 3, sampled=[0, 1])
    a, b = torch.zeros(3, 1, 4, 8), torch.zeros(3, 1, 16, 4)
    a[2], b[2] = 1.0, 1.0  # of an adapter that is loaded, but not in this batch
    y, x = torch.ones(3, 16), torch.ones(3, 8)
    wrapper.add_lora_logits(y, x, a, b, 1.0)
    assert torch.equal(y, torch.ones(3, 16))
    a[1], b[1] = 1.0, 1.0
    with pytest.raises(RuntimeError, match="which adapter they belong to is unknown"):
        wrapper.add_lora_logits(y, x, a, b, 1.0)


@pytest.fixture
def platform(monkeypatch):
    """The CPU platform as vLLM ships it; put back afterwards as it was found."""
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        pytest.skip("the seam is on the CPU platform")
    theirs = classmethod(lambda cls: cpu_lora_seam.THEIRS)
    monkeypatch.setattr(type(current_platform), "get_punica_wrapper", theirs)
    return current_platform


def test_the_seam_fits_the_installed_vllm(platform):
    cpu_lora_seam.install()
    cpu_lora_seam.install()  # vLLM may call a plugin more than once
    assert platform.get_punica_wrapper() == cpu_lora_seam.OURS


def test_an_operator_that_we_do_not_know_stops_the_engine(platform, monkeypatch):
    import vllm
    from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

    monkeypatch.setattr(PunicaWrapperCPU, "add_lora_new", lambda self: None, raising=False)
    with pytest.raises(RuntimeError, match=f"vLLM {vllm.__version__} .*add_lora_new is new"):
        cpu_lora_seam.install()
    assert platform.get_punica_wrapper() == cpu_lora_seam.THEIRS


def test_an_operator_with_other_parameters_stops_the_engine(platform, monkeypatch):
    from vllm.lora.punica_wrapper.punica_cpu import PunicaWrapperCPU

    monkeypatch.setattr(PunicaWrapperCPU, "add_shrink", lambda self, y, x, weights: None)
    with pytest.raises(RuntimeError, match=r"add_shrink\(y, x, weights\) was \(y, x, lora_a"):
        cpu_lora_seam.install()


def test_an_operator_that_is_gone_stops_the_engine(platform, monkeypatch):
    from vllm.lora.punica_wrapper.punica_base import PunicaWrapperBase

    monkeypatch.delattr(PunicaWrapperBase, "sampler_indices")
    with pytest.raises(RuntimeError, match="sampler_indices is gone"):
        cpu_lora_seam.install()


def test_another_platforms_wrapper_stops_the_engine(platform, monkeypatch):
    named = classmethod(lambda cls: "elsewhere.Wrapper")
    monkeypatch.setattr(type(platform), "get_punica_wrapper", named)
    with pytest.raises(RuntimeError, match=r"the platform names 'elsewhere\.Wrapper'"):
        cpu_lora_seam.install()
