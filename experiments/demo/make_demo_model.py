# SPDX-License-Identifier: Apache-2.0
"""Trains the demo model: a Llama of about one million parameters on public-domain English, in about 20 minutes on two cores.

    python make_demo_model.py OUT [MINUTES]

Text: six novels by Jane Austen and the King James Bible (public domain), text/train.txt.xz; the last 7 % of every novel is kept
apart for evaluation. About half of the passages are told twice in a row, so that the model must look back to predict the
second telling: without that, so small a model hardly uses attention, and attention-aware quantization would have nothing to show.

Needs torch, transformers, tokenizers, numpy. Writes OUT/ in the usual layout of a model folder.
"""
import lzma, math, pathlib, random, sys, time
import numpy as np, torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

here, out = pathlib.Path(__file__).parent, pathlib.Path(sys.argv[1])
minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 20
length, batch, peak_rate = 256, 16, 4e-3
torch.manual_seed(0)


def train_tokenizer(text):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(text.split('\n\n'), trainers.BpeTrainer(
        vocab_size=2048, special_tokens=['<s>', '</s>'], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def told_twice(ids, seed):
    """Cuts the stream into passages of 30 to 90 tokens and says each one again with probability 1/2."""
    chance, passages, i = random.Random(seed), [], 0
    while i < len(ids):
        n = chance.randint(30, 90)
        passages.append(ids[i:i + n])
        i += n
        if chance.random() < .5:
            passages.append(passages[-1])
    return np.concatenate(passages)


def main():
    text = lzma.open(here / 'text/train.txt.xz', 'rt').read()
    tokenizer = train_tokenizer(text)
    stream = torch.from_numpy(told_twice(np.array(tokenizer.encode(text).ids), seed=1))
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=2048, hidden_size=128, intermediate_size=352, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=32, max_position_embeddings=2048, rope_theta=1e4, rms_norm_eps=1e-5,
        tie_word_embeddings=True, bos_token_id=0, eos_token_id=1))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=.05, betas=(.9, .95))
    start, step = time.time(), 0
    while (done := (time.time() - start) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group['lr'] = peak_rate * min(1, (step + 1) / 100) * (.97 * .5 * (1 + math.cos(math.pi * done)) + .03)
        x = torch.stack([stream[i:i + length] for i in torch.randint(len(stream) - length - 1, (batch,))])
        with torch.autocast('cpu', torch.bfloat16):
            loss = model(x, labels=x).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.)
        optimizer.step()
        step += 1
        if step % 200 == 0:
            print(f'step {step}  {100 * done:.0f} %  perplexity {loss.exp().item():.1f}', flush=True)
    model.to(torch.bfloat16).save_pretrained(out)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token='<s>', eos_token='</s>').save_pretrained(out)


main()
