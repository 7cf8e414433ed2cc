"""The plugin in the real vLLM: mixed batches, the chat fallback, and no engine without a server."""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

HERE = Path(__file__).parent
PATIENCE_S = 300  # only so that a hang ends; nothing is measured in time
SLOT_COUNTS = [2, 3, 4]
PROMPTS = [[5, 6, 7], list(range(10, 30))]
MAX_TOKENS = 12
VOCAB = 257  # a token for each byte, and the end of text


def byte_tokenizer():
    """One token a byte: a text of n ASCII characters is n tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {"<|endoftext|>": 0} | {char: i for i, char in enumerate(alphabet, start=1)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A tiny random GPT-2 and four random rank-8 adapters: `base`, `adapter-1`.. on disk."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import GPT2Config, GPT2LMHeadModel

    directory = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    # Heads of 64, which vLLM's CPU attention can do. A wide initialisation keeps the logits
    # apart, so that the best token does not hang on the last bit.
    config = GPT2Config(
        vocab_size=VOCAB,
        n_embd=128,
        n_head=2,
        n_layer=2,
        n_positions=64,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=0,
    )
    GPT2LMHeadModel(config).save_pretrained(directory / "base")
    byte_tokenizer().save_pretrained(directory / "base")
    for number in range(1, max(SLOT_COUNTS) + 1):
        torch.manual_seed(number)
        lora = LoraConfig(
            r=8,
            lora_alpha=16,
            target_modules=["c_attn", "c_proj", "c_fc"],
            fan_in_fan_out=True,
            init_lora_weights=False,  # B random too: an untrained adapter would do nothing
            task_type="CAUSAL_LM",
        )
        base = GPT2LMHeadModel.from_pretrained(directory / "base")
        get_peft_model(base, lora).save_pretrained(directory / f"adapter-{number}")
    return directory


@pytest.fixture(scope="module")
def references(models):
    """Greedy tokens and their log-probabilities by transformers and PEFT: [adapter][prompt]."""
    import torch
    from peft import PeftModel
    from transformers import GPT2LMHeadModel

    def greedy(model, prompt):
        tokens, logprobs = list(prompt), []
        for _ in range(MAX_TOKENS):
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([tokens])).logits[0, -1]
            tokens.append(int(logits.argmax()))
            logprobs.append(float(logits.log_softmax(-1)[tokens[-1]]))
        return {"tokens": tokens[len(prompt) :], "logprobs": logprobs}

    answers = []
    for number in range(max(SLOT_COUNTS) + 1):
        model = GPT2LMHeadModel.from_pretrained(models / "base")
        if number:
            model = PeftModel.from_pretrained(model, models / f"adapter-{number}")
        answers.append([greedy(model.eval(), prompt) for prompt in PROMPTS])
    return answers


@pytest.fixture(scope="module")
def answers(models, tmp_path_factory):
    """What vLLM gives, for each slot count: see vllm_mixed_batch."""
    directory = tmp_path_factory.mktemp("answers")
    request = {
        "slot_counts": SLOT_COUNTS,
        "adapters": [str(models / f"adapter-{i}") for i in range(1, max(SLOT_COUNTS) + 1)],
        "prompts": PROMPTS,
        "max_tokens": MAX_TOKENS,
    }
    (directory / "request.json").write_text(json.dumps(request))
    paths = [models / "base", directory / "request.json", directory / "answer.json"]
    done = subprocess.run(
        [sys.executable, HERE / "vllm_mixed_batch.py", *paths],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S * len(SLOT_COUNTS),
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    return json.loads((directory / "answer.json").read_text())


@pytest.mark.engine
@pytest.mark.parametrize("n_slots", SLOT_COUNTS)
def test_a_mixed_batch_gives_what_each_request_gives_alone(n_slots, answers, references):
    answer = answers[str(n_slots)]
    # It was one batch: a step in which the base (-1) and every slot had rows.
    assert [-1, *range(n_slots)] in answer["slots_of_steps"]
    n_variants = n_slots + 1
    assert answer["adapter"] == [*range(n_variants)] * len(PROMPTS)
    for i, (mixed, alone) in enumerate(zip(answer["mixed"], answer["alone"], strict=True)):
        reference = references[i % n_variants][i // n_variants]
        assert mixed["tokens"] == alone["tokens"] == reference["tokens"]
        assert mixed["logprobs"] == pytest.approx(alone["logprobs"], abs=1e-4)
        assert mixed["logprobs"] == pytest.approx(reference["logprobs"], abs=1e-4)


@pytest.mark.engine
def test_base_and_adapters_all_answer_differently(answers):
    """Without this the test above would pass for adapters that do nothing."""
    answer = answers[str(max(SLOT_COUNTS))]
    n_variants = max(SLOT_COUNTS) + 1
    for start in range(0, len(answer["mixed"]), n_variants):
        variants = answer["mixed"][start : start + n_variants]
        assert len({tuple(variant["tokens"]) for variant in variants}) == n_variants


def is_alive(process):
    """Whether a psutil process still runs; one that nobody has reaped yet does not."""
    import psutil

    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def accepts(path):
    """Whether someone listens on a Unix socket. httpx leaks a socket for each failed attempt."""
    with socket.socket(socket.AF_UNIX) as attempt:
        try:
            attempt.connect(str(path))
        except OSError:
            return False
        return True


@pytest.fixture
def server(models, tmp_path):
    """vLLM's API server with two adapters, on a Unix socket; (process, client, log file)."""
    socket_path, log = tmp_path / "s", tmp_path / "log"
    adapters = [f"adapter-{i}={models / f'adapter-{i}'}" for i in (1, 2)]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", models / "base", "--served-model-name", "base"),
        *("--uds", socket_path, "--dtype", "float32", "--enforce-eager"),
        *("--max-model-len", "64", "--max-num-seqs", "4"),
        *("--enable-lora", "--max-loras", "2", "--max-lora-rank", "8"),
        *("--lora-modules", *adapters),
    ]
    env = os.environ | {
        "LMFT_ENGINE_DIE_WITH_PARENT": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "OMP_NUM_THREADS": "1",
        "TORCH_COMPILE_DISABLE": "1",
        "HF_HUB_OFFLINE": "1",
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=env, start_new_session=True
        )
    try:
        listens = wait_until(lambda: process.poll() is not None or accepts(socket_path))
        assert listens, log.read_text()[-8000:]
        assert process.poll() is None, log.read_text()[-8000:]
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket_path)),
            base_url="http://engine",
            timeout=PATIENCE_S,
        ) as client:
            assert client.get("/health").status_code == 200
            yield process, client, log
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever is left of the server's session
        process.wait()


@pytest.mark.engine
@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_server_with_our_plugin_and_no_engine_after_kill_9(server):
    """One server for three things, because it takes a while to start."""
    import psutil

    process, client, log = server
    assert "Using GroupedPunicaWrapperCPU" in log.read_text()

    # The base has no chat template; without the fallback vLLM answers 400.
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Go"},
    ]
    chat = {"model": "base", "messages": turns, "max_tokens": 1}
    answer = client.post("/v1/chat/completions", json=chat)
    assert answer.status_code == 200, answer.text
    rendered = "User: Hi\nAssistant: Yes?\nUser: Go\nAssistant:"
    assert answer.json()["usage"]["prompt_tokens"] == len(rendered)  # one token a byte

    family = psutil.Process(process.pid).children(recursive=True)
    assert any("EngineCore" in " ".join(child.cmdline()) for child in family)
    process.kill()
    process.wait()
    assert wait_until(lambda: not any(is_alive(child) for child in family)), family


def run_orphan(when, switch, directory):
    """Run orphan.py to the end of parent and child; whether the child survived its parent."""
    import psutil

    env = os.environ | {"LMFT_ENGINE_DIE_WITH_PARENT": switch}
    done = subprocess.run(
        [sys.executable, HERE / "orphan.py", when, directory],
        env=env,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    try:
        child = psutil.Process(int((directory / "child").read_text()))
    except psutil.NoSuchProcess:
        pass
    else:
        assert wait_until(lambda: not is_alive(child))
    return (directory / "survived").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
class TestDieWithParent:
    def test_a_child_dies_with_its_parent(self, tmp_path):
        assert not run_orphan("before", "1", tmp_path)

    def test_a_child_whose_parent_died_too_early_leaves_at_once(self, tmp_path):
        assert not run_orphan("after", "1", tmp_path)

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_without_the_switch_a_child_survives(self, when, tmp_path):
        assert run_orphan(when, "0", tmp_path)

    def test_a_process_that_is_nobodys_child_is_left_alone(self, monkeypatch):
        from serving.vllm_plugin.die_with_parent import SWITCH, die_with_parent

        monkeypatch.setenv(SWITCH, "1")
        die_with_parent()
        death_signal = ctypes.c_int(-1)
        ctypes.CDLL(None).prctl(2, ctypes.byref(death_signal))  # PR_GET_PDEATHSIG
        assert death_signal.value == 0


@pytest.mark.parametrize(
    ("messages", "prompt", "text"),
    [
        ([("user", "Hi")], True, "User: Hi\nAssistant:"),
        ([("user", "Hi"), ("assistant", "Yes")], False, "User: Hi\nAssistant: Yes"),
        ([("system", "Be\nkind."), ("user", "Hi")], True, "Be\nkind.\nUser: Hi\nAssistant:"),
    ],
)
def test_the_fallback_template_is_plain_turns(messages, prompt, text):
    from serving.vllm_plugin.chat_template import FALLBACK_PATH

    tokenizer = byte_tokenizer()
    conversation = [{"role": role, "content": content} for role, content in messages]
    rendered = tokenizer.apply_chat_template(
        conversation,
        chat_template=FALLBACK_PATH.read_text(),
        add_generation_prompt=prompt,
        tokenize=False,
    )
    assert rendered == text


def test_register_can_be_called_again():
    """vLLM calls it in every process, and more than once in some."""
    from vllm import ModelRegistry
    from vllm.transformers_utils.chat_templates.registry import get_chat_template_fallback_path

    from serving.vllm_plugin import register
    from serving.vllm_plugin.chat_template import FALLBACK_PATH

    register()
    register()
    assert get_chat_template_fallback_path("gpt2", "") == FALLBACK_PATH
    assert ModelRegistry.models["GPT2LMHeadModel"].module_name == "serving.vllm_plugin.gpt2"
